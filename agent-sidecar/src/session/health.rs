//! Whether the agent is fit for work, judged from its health path and from how its calls end.

use std::time::Duration;

use super::event::Probe;

/// Between probes while nothing is known yet: a started agent is found quickly.
const STARTING: Duration = Duration::from_millis(250);
/// Between probes of an unhealthy agent.
const UNHEALTHY: Duration = Duration::from_secs(1);
/// Between probes of a healthy agent.
const HEALTHY: Duration = Duration::from_secs(10);
/// Calls in a row without an answer that make an agent unhealthy.
const HANGS: u32 = 3;
/// Rest after that many hangs, whatever the health path says.
const REST: Duration = Duration::from_secs(5);
/// Silent probes in a row, with no call running, that make an agent unhealthy. An agent with one thread cannot answer while it works.
const SILENT: u32 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Unknown,
    Well,
    Unwell,
}

/// The agent's health as the sidecar sees it.
#[derive(Debug)]
pub struct Health {
    state: State,
    hangs: u32,
    silent: u32,
    not_before: Duration,
    probe_at: Duration,
    probing: bool,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            state: State::Unknown,
            hangs: 0,
            silent: 0,
            not_before: Duration::ZERO,
            probe_at: Duration::ZERO,
            probing: false,
        }
    }
}

impl Health {
    /// Whether the agent may get tasks.
    pub fn is_well(&self) -> bool {
        self.state == State::Well
    }

    /// When to look again; `None` while a probe is on its way.
    pub fn wake(&self) -> Option<Duration> {
        (!self.probing).then_some(self.probe_at)
    }

    /// Whether to send a probe now; if so it counts as sent.
    pub fn probe_due(&mut self, now: Duration) -> bool {
        let due = !self.probing && now >= self.probe_at;
        self.probing |= due;
        due
    }

    /// A probe ended; `busy` when calls are running.
    pub fn probed(&mut self, probe: Probe, busy: bool, now: Duration) {
        self.probing = false;
        match probe {
            Probe::Well => {
                self.silent = 0;
                if now >= self.not_before {
                    self.state = State::Well;
                }
            }
            Probe::Failing => self.fail(),
            Probe::Silent if busy => {}
            Probe::Silent => {
                self.silent += 1;
                if self.silent >= SILENT {
                    self.fail();
                }
            }
        }
        self.probe_at = now
            + match self.state {
                State::Unknown => STARTING,
                State::Well if self.silent == 0 => HEALTHY,
                State::Well | State::Unwell => UNHEALTHY,
            };
    }

    /// A call was answered, in whatever way.
    pub fn answered(&mut self) {
        self.hangs = 0;
    }

    /// A call got no answer in time.
    pub fn hung(&mut self, now: Duration) {
        self.hangs += 1;
        self.probe_at = self.probe_at.min(now);
        if self.hangs >= HANGS {
            self.hangs = 0;
            self.not_before = now + REST;
            self.fail();
        }
    }

    /// The agent could not be reached or broke a connection.
    pub fn unreachable(&mut self, now: Duration) {
        self.fail();
        self.probe_at = now + STARTING;
    }

    fn fail(&mut self) {
        if self.state == State::Well {
            self.state = State::Unwell;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn well() -> Health {
        let mut health = Health::default();
        assert!(health.probe_due(at(0)));
        health.probed(Probe::Well, false, at(0));
        assert!(health.is_well());
        health
    }

    #[test]
    fn a_busy_agent_with_one_thread_stays_healthy_though_its_health_path_is_silent() {
        let mut health = well();
        for second in 10..20 {
            health.probed(Probe::Silent, true, at(second));
        }
        assert!(health.is_well());
        health.probed(Probe::Silent, false, at(21));
        health.probed(Probe::Silent, false, at(22));
        assert!(!health.is_well());
    }

    #[test]
    fn three_hangs_make_it_rest_even_if_the_health_path_answers() {
        let mut health = well();
        for _ in 0..3 {
            health.hung(at(30));
        }
        health.probed(Probe::Well, false, at(31));
        assert!(!health.is_well());
        health.probed(Probe::Well, false, at(36));
        assert!(health.is_well());
    }

    #[test]
    fn an_answer_between_hangs_forgives_them() {
        let mut health = well();
        health.hung(at(1));
        health.hung(at(2));
        health.answered();
        health.hung(at(3));
        assert!(health.is_well());
    }

    #[test]
    fn probes_are_ten_seconds_apart_when_healthy_and_one_when_not() {
        let mut health = well();
        assert!(!health.probe_due(at(9)));
        assert!(health.probe_due(at(10)));
        assert!(!health.probe_due(at(10)), "one probe at a time");
        health.probed(Probe::Failing, false, at(10));
        assert!(!health.is_well());
        assert_eq!(health.wake(), Some(at(11)));
    }
}
