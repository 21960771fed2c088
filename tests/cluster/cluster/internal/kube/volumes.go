// The provisioner of the storage class "standard": a directory for every claim,
// removed with it. Volumes are of the kind "local", because the kubelet applies
// a pod's fsGroup to those and not to hostPath.

package kube

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// VolumesCommand is the hidden subcommand that runs it.
const VolumesCommand = "volumes"

const (
	storageClass    = "standard"
	provisionerName = "tetrarch.dev/local"
	provisionedBy   = "pv.kubernetes.io/provisioned-by"
)

type metadata struct {
	Name        string            `json:"name"`
	Namespace   string            `json:"namespace,omitempty"`
	UID         string            `json:"uid,omitempty"`
	Deletion    string            `json:"deletionTimestamp,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type claim struct {
	Metadata metadata `json:"metadata"`
	Spec     struct {
		Class       *string  `json:"storageClassName"`
		Volume      string   `json:"volumeName"`
		AccessModes []string `json:"accessModes"`
		Mode        string   `json:"volumeMode"`
		Resources   struct {
			Requests map[string]string `json:"requests"`
		} `json:"resources"`
	} `json:"spec"`
	Status struct {
		Phase string `json:"phase"`
	} `json:"status"`
}

type volume struct {
	Metadata metadata `json:"metadata"`
	Spec     struct {
		Local *struct {
			Path string `json:"path"`
		} `json:"local"`
	} `json:"spec"`
	Status struct {
		Phase string `json:"phase"`
	} `json:"status"`
}

// Volumes provisions until its process ends.
type Volumes struct {
	API *API
	Dir string // of the volumes' directories
}

// Run polls: twice a second two small lists, served from the API server's memory.
func (v *Volumes) Run(ctx context.Context) {
	for tick := time.NewTicker(500 * time.Millisecond); ; <-tick.C {
		if err := v.sync(ctx); err != nil {
			fmt.Fprintln(os.Stderr, time.Now().Format(time.RFC3339), err)
			time.Sleep(time.Second)
		}
	}
}

func (v *Volumes) sync(ctx context.Context) error {
	var claims struct{ Items []claim }
	if err := v.API.Do(ctx, "GET", "/api/v1/persistentvolumeclaims?resourceVersion=0", nil, &claims); err != nil {
		return err
	}
	for _, pending := range claims.Items {
		if wanted(pending) {
			if err := v.provision(ctx, pending); err != nil {
				return err
			}
		}
	}
	var volumes struct{ Items []volume }
	if err := v.API.Do(ctx, "GET", "/api/v1/persistentvolumes?resourceVersion=0", nil, &volumes); err != nil {
		return err
	}
	for _, released := range volumes.Items {
		if released.Metadata.Annotations[provisionedBy] == provisionerName && released.Status.Phase == "Released" && released.Metadata.Deletion == "" {
			if err := v.remove(ctx, released); err != nil {
				return err
			}
		}
	}
	return nil
}

func wanted(c claim) bool {
	return c.Status.Phase == "Pending" && c.Spec.Volume == "" && c.Metadata.Deletion == "" &&
		c.Spec.Class != nil && *c.Spec.Class == storageClass && c.Spec.Mode != "Block"
}

func (v *Volumes) provision(ctx context.Context, c claim) error {
	name := "pvc-" + c.Metadata.UID
	dir := filepath.Join(v.Dir, name)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	// Past the umask: a pod without fsGroup must be able to write as any user.
	if err := os.Chmod(dir, 0o777); err != nil {
		return err
	}
	err := v.API.Do(ctx, "POST", "/api/v1/persistentvolumes", volumeFor(name, dir, c), nil)
	if isStatus(err, http.StatusConflict) {
		return nil // made at the last poll; the binder has not got to it yet
	}
	return err
}

func volumeFor(name, dir string, c claim) map[string]any {
	return map[string]any{
		"apiVersion": "v1", "kind": "PersistentVolume",
		"metadata": metadata{Name: name, Annotations: map[string]string{provisionedBy: provisionerName}},
		"spec": map[string]any{
			"capacity":                      map[string]string{"storage": c.Spec.Resources.Requests["storage"]},
			"accessModes":                   c.Spec.AccessModes,
			"persistentVolumeReclaimPolicy": "Delete",
			"storageClassName":              storageClass,
			"claimRef": map[string]string{"apiVersion": "v1", "kind": "PersistentVolumeClaim",
				"namespace": c.Metadata.Namespace, "name": c.Metadata.Name, "uid": c.Metadata.UID},
			"local": map[string]string{"path": dir},
			"nodeAffinity": map[string]any{"required": map[string]any{"nodeSelectorTerms": []any{map[string]any{
				"matchExpressions": []any{map[string]any{"key": "kubernetes.io/hostname", "operator": "In", "values": []string{NodeName}}},
			}}}},
		},
	}
}

func (v *Volumes) remove(ctx context.Context, released volume) error {
	// Only directories this provisioner made: the path comes from an object others may edit.
	if local := released.Spec.Local; local != nil && filepath.Dir(local.Path) == v.Dir {
		if err := os.RemoveAll(local.Path); err != nil {
			return err
		}
	}
	err := v.API.Do(ctx, "DELETE", "/api/v1/persistentvolumes/"+released.Metadata.Name, nil, nil)
	if isStatus(err, http.StatusNotFound) {
		return nil
	}
	return err
}

// volumesSpec runs this very program as the provisioner.
func (c *Cluster) volumesSpec() ([]string, error) {
	self, err := os.Executable()
	return []string{self, VolumesCommand, fmt.Sprint(c.apiPort()), c.pki(""), c.file("volumes")}, err
}
