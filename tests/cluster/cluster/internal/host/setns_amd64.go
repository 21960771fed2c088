//go:build amd64

package host

// sysSetns is missing from the standard library.
const sysSetns = 308
