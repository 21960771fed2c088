// One line of progress for every long step, and what matters of its log when it fails.

package artifact

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Progress reports steps to a terminal (rewriting one line) or to a log (a line every half minute).
type Progress struct {
	Out      io.Writer
	Terminal bool
}

// NewProgress reports to file.
func NewProgress(file *os.File) *Progress {
	info, err := file.Stat()
	return &Progress{Out: file, Terminal: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

// Step runs work and prints its title with the elapsed time until it is done.
func (p *Progress) Step(title string, work func() error) error {
	started := time.Now()
	interval := 30 * time.Second
	if p.Terminal {
		interval = time.Second
	} else {
		fmt.Fprintf(p.Out, "  %s ...\n", title)
	}
	done := make(chan error, 1)
	go func() { done <- work() }()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			mark := "ok"
			if err != nil {
				mark = "FAILED"
			}
			p.line("  %s: %s in %s", title, mark, elapsed(started))
			if p.Terminal {
				fmt.Fprintln(p.Out)
			}
			return err
		case <-tick.C:
			p.line("  %s ... %s", title, elapsed(started))
		}
	}
}

func (p *Progress) line(format string, arguments ...any) {
	text := fmt.Sprintf(format, arguments...)
	if p.Terminal {
		fmt.Fprintf(p.Out, "\r\x1b[K%s", text)
	} else {
		fmt.Fprintln(p.Out, text)
	}
}

func elapsed(started time.Time) time.Duration {
	return time.Since(started).Round(100 * time.Millisecond)
}

// run executes a command with its output in logPath; an error carries the lines
// of the log that name a cause, and where the whole of it is.
func run(logPath string, command *exec.Cmd) error {
	if err := os.MkdirAll(filepath.Dir(logPath), 0o755); err != nil {
		return err
	}
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	fmt.Fprintf(log, "+ %s\n", strings.Join(command.Args, " "))
	command.Stdout, command.Stderr = log, log
	if err := command.Run(); err != nil {
		content, _ := os.ReadFile(logPath)
		return fmt.Errorf("%s: %w\n%s\n(full log: %s)", filepath.Base(command.Path), err, relevantLines(string(content), 12), logPath)
	}
	return nil
}

// relevantLines drops the lines that only say what is being fetched and keeps the last ones.
func relevantLines(log string, count int) string {
	var kept []string
	for _, line := range strings.Split(strings.TrimRight(log, "\n"), "\n") {
		if !strings.HasPrefix(line, "go: downloading ") && !strings.HasPrefix(line, "+ ") && strings.TrimSpace(line) != "" {
			kept = append(kept, "    "+line)
		}
	}
	if len(kept) > count {
		kept = kept[len(kept)-count:]
	}
	return strings.Join(kept, "\n")
}
