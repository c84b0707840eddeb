package testenv

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Sentinel is a real Redis master with a replica, watched by three Sentinels
// of which two must agree. They replace a master that has been silent for 500 ms.
type Sentinel struct {
	Master, Replica *Redis // as they were at the start
	sentinels       []*Redis
}

// SentinelMaster is the name under which the Sentinels know their master.
const SentinelMaster = "postern"

// StartSentinel starts all of them in folders below dir and waits until the
// Sentinels know each other and the replica.
func StartSentinel(ctx context.Context, dir string) (*Sentinel, error) {
	s := &Sentinel{}
	if err := s.start(ctx, dir); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

func (s *Sentinel) start(ctx context.Context, dir string) (err error) {
	if s.Master, err = StartRedis(ctx, filepath.Join(dir, "master")); err != nil {
		return err
	}
	host, port, _ := net.SplitHostPort(s.Master.Addr)
	if s.Replica, err = StartRedis(ctx, filepath.Join(dir, "replica"), "--replicaof", host+" "+port); err != nil {
		return err
	}
	for i := range 3 {
		sentinel, err := newRedis(filepath.Join(dir, fmt.Sprint("sentinel-", i)), nil)
		if err != nil {
			return err
		}
		s.sentinels = append(s.sentinels, sentinel)
		if err := sentinel.startSentinel(ctx, host, port); err != nil {
			return err
		}
	}
	return s.waitUntilAcquainted(ctx, 15*time.Second)
}

// startSentinel runs the server as a Sentinel. It rewrites its file, so it gets
// one of its own.
func (r *Redis) startSentinel(ctx context.Context, host, port string) error {
	_, own, _ := net.SplitHostPort(r.Addr)
	lines := []string{
		"port " + own, "bind 127.0.0.1", "dir " + r.dir, "daemonize no",
		fmt.Sprintf("sentinel monitor %s %s %s 2", SentinelMaster, host, port),
		"sentinel down-after-milliseconds " + SentinelMaster + " 500",
		"sentinel failover-timeout " + SentinelMaster + " 1000", // after twice that, a vote without a winner is repeated
		"",
	}
	file := r.path("sentinel.conf")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		return fmt.Errorf("sentinel: %w", err)
	}
	return r.run(ctx, []string{file, "--sentinel"})
}

// waitUntilAcquainted waits until a failover could succeed.
func (s *Sentinel) waitUntilAcquainted(ctx context.Context, bound time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	for {
		ready := 0
		for _, sentinel := range s.sentinels {
			fields, _ := sentinel.client.Do(ctx, "SENTINEL", "MASTER", SentinelMaster).StringSlice()
			known := map[string]string{}
			for i := 0; i+1 < len(fields); i += 2 {
				known[fields[i]] = fields[i+1]
			}
			if known["num-slaves"] == "1" && known["num-other-sentinels"] == "2" && known["flags"] == "master" {
				ready++
			}
		}
		info, _ := s.Replica.client.Info(ctx, "replication").Result()
		if ready == len(s.sentinels) && strings.Contains(info, "master_link_status:up") {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d sentinels know all others: %w", ready, len(s.sentinels), ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// CurrentMaster is the address of the master by the word of a Sentinel.
func (s *Sentinel) CurrentMaster(ctx context.Context) (string, error) {
	var errs []error
	for _, sentinel := range s.sentinels {
		address, err := sentinel.client.Do(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", SentinelMaster).StringSlice()
		if err == nil && len(address) == 2 {
			return net.JoinHostPort(address[0], address[1]), nil
		}
		errs = append(errs, err)
	}
	return "", fmt.Errorf("no sentinel names a master: %w", errors.Join(errs...))
}

// URL is the address for a client.
func (s *Sentinel) URL() string {
	addresses := make([]string, len(s.sentinels))
	for i, sentinel := range s.sentinels {
		addresses[i] = sentinel.Addr
	}
	return "redis+sentinel://" + strings.Join(addresses, ",") + "/" + SentinelMaster
}

// Stop ends all of them, the Sentinels first so that they replace nobody.
func (s *Sentinel) Stop() {
	for _, r := range append(s.sentinels, s.Replica, s.Master) {
		if r != nil {
			r.Stop()
		}
	}
}
