// Package main is the program inside the smoke test's pods: it serves, asks,
// burns CPU and refuses admission.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("usage: probe serve DIR | get URL | burn | tick | webhook CERT KEY"))
	}
	switch os.Args[1] {
	case "serve":
		serve(os.Args[2])
	case "get":
		get(os.Args[2])
	case "burn":
		for begun := time.Now(); ; {
			if time.Since(begun) > 20*time.Millisecond {
				time.Sleep(20 * time.Millisecond)
				begun = time.Now()
			}
		}
	case "tick":
		for {
			fmt.Println("tick")
			time.Sleep(time.Second)
		}
	case "webhook":
		http.HandleFunc("/", refuse)
		fail(http.ListenAndServeTLS(":8443", os.Args[2], os.Args[3], nil))
	default:
		fail(fmt.Errorf("no command %q", os.Args[1]))
	}
}

// serve answers with its user after writing to the volume: the write is what a test looks for.
func serve(dir string) {
	if err := os.WriteFile(filepath.Join(dir, "written"), []byte("by the probe"), 0o600); err != nil {
		fail(err)
	}
	if err := os.WriteFile("/forbidden", nil, 0o600); err == nil {
		fail(fmt.Errorf("the root file system is writable"))
	}
	fmt.Println("serving as user", os.Getuid())
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "user", os.Getuid()) })
	fail(http.ListenAndServe(":8080", nil))
}

func get(url string) {
	response, err := (&http.Client{Timeout: 3 * time.Second}).Get(url)
	if err != nil {
		fail(err)
	}
	defer response.Body.Close()
	io.Copy(os.Stdout, response.Body)
}

// refuse is an admission webhook that lets nothing pass.
func refuse(w http.ResponseWriter, r *http.Request) {
	var review struct {
		Request struct {
			UID string `json:"uid"`
		} `json:"request"`
	}
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{
		"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
		"response": map[string]any{"uid": review.Request.UID, "allowed": false, "status": map[string]string{"message": "refused by the probe"}},
	})
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "probe:", err)
	os.Exit(1)
}
