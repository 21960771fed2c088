//go:build arm64

package host

// sysSetns is missing from the standard library.
const sysSetns = 268
