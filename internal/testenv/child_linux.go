package testenv

import "syscall"

// childAttributes lets the kernel end the child when its parent dies, however
// that happens.
func childAttributes(as *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Credential: as}
}
