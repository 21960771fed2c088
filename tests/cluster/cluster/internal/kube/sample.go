// A pod with a volume, as small as can be: proof that a cluster runs something,
// and that something is there for `down` to remove.

package kube

import (
	"context"
	"net/http"
	"time"
)

// RunSample starts it and waits until it is Running.
func (c *Cluster) RunSample() error {
	api, err := c.api("admin")
	if err != nil {
		return err
	}
	const namespace = "/api/v1/namespaces/default/"
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	object := map[string]string{"name": "sample"}
	err = api.Do(ctx, http.MethodPost, namespace+"persistentvolumeclaims", map[string]any{
		"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": object,
		"spec": map[string]any{
			"accessModes": []string{"ReadWriteOnce"},
			"resources":   map[string]any{"requests": map[string]string{"storage": "1Gi"}},
		},
	}, nil)
	if err != nil {
		return err
	}
	err = api.Do(ctx, http.MethodPost, namespace+"pods", map[string]any{
		"apiVersion": "v1", "kind": "Pod", "metadata": object,
		"spec": map[string]any{
			"containers": []any{map[string]any{
				"name": "pause", "image": pauseImage,
				"volumeMounts": []any{
					map[string]string{"name": "disk", "mountPath": "/disk"},
					map[string]string{"name": "memory", "mountPath": "/memory"},
				},
			}},
			"volumes": []any{
				map[string]any{"name": "disk", "persistentVolumeClaim": map[string]string{"claimName": "sample"}},
				map[string]any{"name": "memory", "emptyDir": map[string]string{"medium": "Memory"}},
			},
		},
	}, nil)
	if err != nil {
		return err
	}
	return c.wait(time.Minute, []string{"kubelet", "containerd", "kube-scheduler", "volumes"}, func(ctx context.Context) (bool, error) {
		var pod struct{ Status struct{ Phase string } }
		err := api.Do(ctx, http.MethodGet, namespace+"pods/sample", nil, &pod)
		return pod.Status.Phase == "Running", err
	})
}
