// The worker and the client: reads what to measure as a line of JSON, answers with a line of figures.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

const (
	queue = "bench"
	slots = 1_024
	// Longest time until the server answers.
	patience = time.Minute
	// Longest time until an overloaded server takes a run.
	overload = 10 * time.Minute
)

// A phase is so many rounds, each of so many steps at once.
type phase struct {
	Rounds int  `json:"rounds"`
	Width  int  `json:"width"`
	Fails  bool `json:"fails"`
}

type request struct {
	Phases []phase `json:"phases"`
	Millis int     `json:"millis"`
	Runs   int     `json:"runs"`
	AtOnce int     `json:"atOnce"`
}

// All times are microseconds.
type reply struct {
	Wall  int64   `json:"wall"`
	Runs  []int64 `json:"runs"`
	Gaps  []int64 `json:"gaps"`
	Steps int     `json:"steps"`
}

type span struct{ start, end time.Time }

// The agents: what they did when, by run.
type agents struct {
	lock  sync.Mutex
	spans map[string][]span
}

// work is one step: it takes its time and remembers when that was.
func (a *agents) work(ctx context.Context, millis int, fails bool) (int, error) {
	start := time.Now()
	if millis > 0 {
		time.Sleep(time.Duration(millis) * time.Millisecond)
	}
	run := activity.GetInfo(ctx).WorkflowExecution.ID
	a.lock.Lock()
	a.spans[run] = append(a.spans[run], span{start, time.Now()})
	a.lock.Unlock()
	if fails {
		return 0, temporal.NewNonRetryableApplicationError("as asked", "asked", nil)
	}
	return millis, nil
}

// shape is the workflow: the rounds one after the other, the steps of a round at once.
func (a *agents) shape(ctx workflow.Context, phases []phase, millis int) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
	for _, phase := range phases {
		for range phase.Rounds {
			steps := make([]workflow.Future, phase.Width)
			for i := range steps {
				steps[i] = workflow.ExecuteActivity(ctx, a.work, millis, phase.Fails)
			}
			for _, step := range steps {
				if err := step.Get(ctx, nil); (err != nil) != phase.Fails {
					return fmt.Errorf("a step ended otherwise than asked: %w", err)
				}
			}
		}
	}
	return nil
}

// drive works and measures until its input ends.
func drive(address string) error {
	quiet := sdklog.NewStructuredLogger(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError + 1})))
	connection, err := connect(client.Options{HostPort: address, Namespace: namespace, Logger: quiet})
	if err != nil {
		return err
	}
	defer connection.Close()
	agents := &agents{spans: map[string][]span{}}
	works := worker.New(connection, queue, worker.Options{
		MaxConcurrentActivityExecutionSize:      slots,
		MaxConcurrentWorkflowTaskExecutionSize:  slots,
		MaxConcurrentEagerActivityExecutionSize: slots,
		MaxConcurrentActivityTaskPollers:        16,
		MaxConcurrentWorkflowTaskPollers:        16,
	})
	works.RegisterActivity(agents.work)
	works.RegisterWorkflow(agents.shape)
	if err := works.Start(); err != nil {
		return err
	}
	defer works.Stop()
	input, output := bufio.NewReader(os.Stdin), json.NewEncoder(os.Stdout)
	for number := 0; ; number++ {
		line, err := input.ReadBytes('\n')
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		var asked request
		if err := json.Unmarshal(line, &asked); err != nil {
			return err
		}
		figures, err := measure(connection, agents, asked, number)
		if err != nil {
			return err
		}
		if err := output.Encode(figures); err != nil {
			return err
		}
	}
}

// connect waits until the server answers.
func connect(options client.Options) (client.Client, error) {
	end := time.Now().Add(patience)
	for {
		connection, err := client.Dial(options)
		if err == nil {
			_, err = connection.DescribeWorkflowExecution(context.Background(), "none", "")
			if err == nil || time.Now().After(end) || notFound(err) {
				return connection, nil
			}
			connection.Close()
		} else if time.Now().After(end) {
			return nil, err
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// measure does so many runs, so many of them at a time.
func measure(connection client.Client, agents *agents, asked request, number int) (*reply, error) {
	figures := &reply{Runs: make([]int64, asked.Runs)}
	failures := make(chan error, asked.Runs)
	places := make(chan struct{}, max(asked.AtOnce, 1))
	var running sync.WaitGroup
	var lock sync.Mutex
	begin := time.Now()
	for i := range asked.Runs {
		places <- struct{}{}
		running.Go(func() {
			defer func() { <-places }()
			id := fmt.Sprintf("run-%d-%d", number, i)
			start := time.Now()
			if err := execute(connection, agents, asked, id); err != nil {
				failures <- err
				return
			}
			figures.Runs[i] = time.Since(start).Microseconds()
			lock.Lock()
			defer lock.Unlock()
			agents.collect(id, start, figures)
		})
	}
	running.Wait()
	figures.Wall = time.Since(begin).Microseconds()
	close(failures)
	return figures, <-failures
}

// execute does one run. A server that is overloaded is asked again, under the same id, so that the run starts once.
func execute(connection client.Client, agents *agents, asked request, id string) error {
	options := client.StartWorkflowOptions{ID: id, TaskQueue: queue}
	for end := time.Now().Add(overload); ; {
		run, err := connection.ExecuteWorkflow(context.Background(), options, agents.shape, asked.Phases, asked.Millis)
		if err == nil {
			return run.Get(context.Background(), nil)
		}
		if time.Now().After(end) {
			return err
		}
	}
}

// collect adds the steps of a run, and the time between the end of one and the start of the next.
func (a *agents) collect(run string, last time.Time, figures *reply) {
	a.lock.Lock()
	defer a.lock.Unlock()
	for _, span := range a.spans[run] {
		figures.Gaps = append(figures.Gaps, max(span.start.Sub(last).Microseconds(), 0))
		last = span.end
	}
	figures.Steps += len(a.spans[run])
	delete(a.spans, run)
}

// notFound tells the server's own answer that there is no such run from those of a server that is not ready.
func notFound(err error) bool {
	var missing *serviceerror.NotFound
	return errors.As(err, &missing)
}
