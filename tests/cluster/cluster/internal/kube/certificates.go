// The certificates of a cluster: one authority for the API, one for its front
// proxy, and a leaf for every program.

package kube

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	dir, name   string
}

type leaf struct {
	name   string // of its files
	user   string
	groups []string
	hosts  []string // names and addresses, of a server
}

func newAuthority(dir, name string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "tetrarch-" + name},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().AddDate(1, 0, 0),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &authority{certificate, key, dir, name}, writePair(dir, name, der, key)
}

func (a *authority) issue(l leaf) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: l.user, Organization: l.groups},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(1, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	for _, name := range l.hosts {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key)
	if err != nil {
		return err
	}
	return writePair(a.dir, l.name, der, key)
}

func writePair(dir, name string, der []byte, key *ecdsa.PrivateKey) error {
	encoded, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(filepath.Join(dir, name+".crt"), certificate, 0o644); err != nil {
		return err
	}
	private := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: encoded})
	return os.WriteFile(filepath.Join(dir, name+".key"), private, 0o600)
}

func (c *Cluster) pki(file string) string { return c.file("pki", file) }

// certify writes all certificates and the kubeconfig files that use them.
func (c *Cluster) certify() error {
	dir := c.file("pki")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	ca, err := newAuthority(dir, "ca")
	if err != nil {
		return err
	}
	// A second authority, so that a certificate of the first can never pass as the front proxy,
	// which may claim to be any user.
	front, err := newAuthority(dir, "front-proxy-ca")
	if err != nil {
		return err
	}
	leaves := []leaf{
		{name: "apiserver", user: "kube-apiserver", hosts: []string{
			"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
			"localhost", "127.0.0.1", c.hostIP(), c.apiServiceIP()}},
		{name: "apiserver-kubelet", user: "kube-apiserver-kubelet-client", groups: []string{"system:masters"}},
		{name: "service-accounts", user: "service-accounts"},
		{name: "admin", user: "kubernetes-admin", groups: []string{"system:masters"}},
		{name: "controller-manager", user: "system:kube-controller-manager"},
		{name: "scheduler", user: "system:kube-scheduler"},
		{name: "proxy", user: "system:kube-proxy"},
		{name: "kubelet", user: "system:node:" + NodeName, groups: []string{"system:nodes"}, hosts: []string{NodeName, c.nodeIP()}},
		{name: "coredns", user: "tetrarch:coredns"},
		{name: "volumes", user: "tetrarch:volumes"},
		{name: "metrics-server", user: "tetrarch:metrics-server", hosts: []string{"metrics-server.kube-system.svc", c.nodeIP()}},
	}
	for _, l := range leaves {
		if err := ca.issue(l); err != nil {
			return err
		}
	}
	return front.issue(leaf{name: "front-proxy", user: "front-proxy"})
}

// CertifyServer writes ca.crt and a pair tls.crt, tls.key for a server of that name, apart from any cluster's.
func CertifyServer(dir, name string) error {
	ca, err := newAuthority(dir, "ca")
	if err != nil {
		return err
	}
	return ca.issue(leaf{name: "tls", user: name, hosts: []string{name}})
}
