// Package smoke checks that a cluster does what the project's tests rely on.
package smoke

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

//go:embed pods.yaml
var pods string

//go:embed policies.yaml
var policies string

// Cluster is what is tested.
type Cluster struct {
	Kubectl    string
	Kubeconfig string
	// Process finds the process of a container by the container's id.
	Process func(container string) (int, error)
	// Certify writes ca.crt, tls.crt and tls.key for a server's name.
	Certify func(dir, name string) error
}

type check struct {
	title string
	run   func(*Cluster) error
}

var checks = []check{
	{"a restricted pod with a sidecar and a volume is ready", (*Cluster).restrictedPod},
	{"names resolve and services answer, from a pod and from the machine", (*Cluster).services},
	{"logs, exec and port-forward", (*Cluster).streams},
	{"Pod Security refuses a privileged pod", (*Cluster).podSecurity},
	{"a policy and a webhook in a pod refuse", (*Cluster).admission},
	{"a container killed with SIGKILL is back within 20s", (*Cluster).killedContainer},
	{"top answers and the HPA scales", (*Cluster).autoscaling},
	{"a deleted pod and a released volume are gone within 30s", (*Cluster).deletion},
}

// Run runs all checks; report is called after each.
func (c *Cluster) Run(step func(title string, work func() error) error) error {
	for _, each := range checks {
		if err := step(each.title, func() error { return each.run(c) }); err != nil {
			return fmt.Errorf("%s: %w", each.title, err)
		}
	}
	return nil
}

func (c *Cluster) kubectl(arguments ...string) (string, error) { return c.feed("", arguments...) }

func (c *Cluster) feed(input string, arguments ...string) (string, error) {
	command := exec.Command(c.Kubectl, append([]string{"--kubeconfig", c.Kubeconfig}, arguments...)...)
	command.Stdin = strings.NewReader(input)
	output, err := command.CombinedOutput()
	if err != nil {
		return string(output), fmt.Errorf("kubectl %s: %w\n%s", strings.Join(arguments, " "), err, output)
	}
	return string(output), nil
}

// until repeats a question until the answer is right.
func (c *Cluster) until(patience time.Duration, right func(answer string) bool, arguments ...string) error {
	for deadline := time.Now().Add(patience); ; time.Sleep(200 * time.Millisecond) {
		answer, err := c.kubectl(arguments...)
		if err == nil && right(answer) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not within %s; the last answer of kubectl %s was %q (%v)", patience, strings.Join(arguments, " "), answer, err)
		}
	}
}

func (c *Cluster) expectRefusal(reason, input string, arguments ...string) error {
	answer, err := c.feed(input, arguments...)
	if err == nil || !strings.Contains(answer, reason) {
		return fmt.Errorf("expected a refusal with %q, got %q", reason, answer)
	}
	return nil
}

func (c *Cluster) restrictedPod() error {
	dir, err := os.MkdirTemp("", "smoke")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := c.Certify(dir, "webhook.default.svc"); err != nil {
		return err
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		return err
	}
	_, err = c.kubectl("create", "secret", "tls", "webhook", "--cert", filepath.Join(dir, "tls.crt"), "--key", filepath.Join(dir, "tls.key"))
	if err != nil {
		return err
	}
	if _, err := c.feed(pods, "apply", "-f", "-"); err != nil {
		return err
	}
	policy := strings.ReplaceAll(policies, "{{CA}}", base64.StdEncoding.EncodeToString(ca))
	if _, err := c.feed(policy, "apply", "-f", "-"); err != nil {
		return err
	}
	_, err = c.kubectl("wait", "-n", "smoke", "--for=condition=Ready", "pod/web", "--timeout=60s")
	return err
}

func (c *Cluster) services() error {
	if err := c.until(10*time.Second, func(answer string) bool { return strings.Contains(answer, "user 65532") },
		"exec", "-n", "smoke", "web", "-c", "web", "--", "/probe", "get", "http://web.smoke.svc"); err != nil {
		return err
	}
	address, err := c.kubectl("get", "service", "-n", "smoke", "web", "-o", "jsonpath={.spec.clusterIP}")
	if err != nil {
		return err
	}
	return answers("http://" + address)
}

func answers(url string) error {
	response, err := (&http.Client{Timeout: 3 * time.Second}).Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || !bytes.Contains(body, []byte("user 65532")) {
		return fmt.Errorf("%s answers %q (%v)", url, body, err)
	}
	return nil
}

func (c *Cluster) streams() error {
	for container, text := range map[string]string{"web": "serving as user 65532", "sidecar": "tick"} {
		contains := func(answer string) bool { return strings.Contains(answer, text) }
		if err := c.until(5*time.Second, contains, "logs", "-n", "smoke", "web", "-c", container); err != nil {
			return err
		}
	}
	forward := exec.Command(c.Kubectl, "--kubeconfig", c.Kubeconfig, "port-forward", "-n", "smoke", "service/web", ":80")
	output, err := forward.StdoutPipe()
	if err != nil {
		return err
	}
	if err := forward.Start(); err != nil {
		return err
	}
	defer func() { forward.Process.Kill(); forward.Wait() }()
	// "Forwarding from 127.0.0.1:40123 -> 8080"
	line := make([]byte, 256)
	count, err := output.Read(line)
	fields := strings.Fields(string(line[:count]))
	if err != nil || len(fields) < 3 {
		return fmt.Errorf("port-forward says %q (%v)", line[:count], err)
	}
	return answers("http://" + fields[2])
}

func (c *Cluster) podSecurity() error {
	return c.expectRefusal("violates PodSecurity", "", "run", "-n", "smoke", "bad", "--image=tetrarch/probe:1", "--privileged")
}

func (c *Cluster) admission() error {
	if _, err := c.kubectl("wait", "--for=condition=Ready", "pod/webhook", "--timeout=30s"); err != nil {
		return err
	}
	if err := c.expectRefusal("refused by the policy", "", "create", "configmap", "no-policy"); err != nil {
		return err
	}
	const labelled = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"no-webhook","labels":{"refuse":"please"}}}`
	return c.expectRefusal("refused by the probe", labelled, "create", "-f", "-")
}

func (c *Cluster) killedContainer() error {
	const status = `jsonpath={.status.containerStatuses[?(@.name=="web")].`
	id, err := c.kubectl("get", "pod", "-n", "smoke", "web", "-o", status+"containerID}")
	if err != nil {
		return err
	}
	process, err := c.Process(strings.TrimPrefix(id, "containerd://"))
	if err != nil {
		return err
	}
	if err := syscall.Kill(process, syscall.SIGKILL); err != nil {
		return err
	}
	return c.until(20*time.Second, func(answer string) bool { return answer == "1 true" },
		"get", "pod", "-n", "smoke", "web", "-o", status+"restartCount} {.status.containerStatuses[?(@.name==\"web\")].ready}")
}

func (c *Cluster) autoscaling() error {
	if err := c.until(2*time.Minute, func(answer string) bool { return strings.Contains(answer, "busy-") }, "top", "pods"); err != nil {
		return err
	}
	return c.until(2*time.Minute, func(answer string) bool { return answer == "2" },
		"get", "deployment", "busy", "-o", "jsonpath={.spec.replicas}")
}

func (c *Cluster) deletion() error {
	if _, err := c.kubectl("delete", "pod", "webhook", "--grace-period=0", "--force", "--wait=true", "--timeout=20s"); err != nil {
		return err
	}
	if _, err := c.kubectl("delete", "pod,pvc", "-n", "smoke", "--all", "--timeout=30s"); err != nil {
		return err
	}
	return c.until(30*time.Second, func(answer string) bool { return strings.TrimSpace(answer) == "" }, "get", "persistentvolumes", "-o", "name")
}
