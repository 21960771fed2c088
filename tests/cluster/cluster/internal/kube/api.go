// As much of a Kubernetes client as the orchestrator needs itself.

package kube

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// API talks to an API server with a client certificate.
type API struct {
	base   string
	client *http.Client
}

// StatusError is an answer that is no success.
type StatusError struct {
	Code int
	Body string
}

func (e *StatusError) Error() string { return fmt.Sprintf("HTTP %d: %s", e.Code, e.Body) }

// NewAPI uses the certificate pair of that name.
func NewAPI(port int, authority, certificate, key string) (*API, error) {
	roots := x509.NewCertPool()
	ca, err := os.ReadFile(authority)
	if err != nil {
		return nil, err
	}
	roots.AppendCertsFromPEM(ca)
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		return nil, err
	}
	return &API{
		base: fmt.Sprintf("https://127.0.0.1:%d", port),
		client: &http.Client{
			Timeout:   10 * time.Second,
			Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}},
		},
	}, nil
}

func (c *Cluster) api(user string) (*API, error) {
	return NewAPI(c.apiPort(), c.pki("ca.crt"), c.pki(user+".crt"), c.pki(user+".key"))
}

// Do sends body (nil: none) and decodes the answer into result (nil: ignored).
func (a *API) Do(ctx context.Context, method, path string, body, result any) error {
	var content io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, a.base+path, content)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := a.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode >= 300 {
		return &StatusError{response.StatusCode, string(answer)}
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(answer, result)
}

// isStatus tells whether err is an answer with this code.
func isStatus(err error, code int) bool {
	var status *StatusError
	return errors.As(err, &status) && status.Code == code
}

// NodeReady asks whether the node has said so.
func (a *API) NodeReady(ctx context.Context) (bool, error) {
	var node struct {
		Status struct {
			Conditions []struct{ Type, Status string }
		}
	}
	err := a.Do(ctx, "GET", "/api/v1/nodes/"+NodeName, nil, &node)
	if isStatus(err, http.StatusNotFound) {
		return false, nil
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == "Ready" {
			return condition.Status == "True", err
		}
	}
	return false, err
}
