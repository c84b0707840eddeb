package wire

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"postern/envoy/transport"
)

// CheckAddress and AdminAddress are where the server listens.
func (s *Server) CheckAddress() string { return s.checkListener.Addr().String() }

// AdminAddress is where the management API listens.
func (s *Server) AdminAddress() string { return s.adminListener.Addr().String() }

// Run serves until the context ends, then stops gracefully: health says
// NOT_SERVING first, requests under way are finished within the configured bound,
// and only then is everything closed. It returns the first failure.
func (s *Server) Run(ctx context.Context) error {
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var work sync.WaitGroup
	for _, task := range []func(context.Context){s.follower.Run, s.fleet.Run, s.usage.run, s.prune, s.shared.run} {
		work.Go(func() { task(background) })
	}
	failed := make(chan error, 2)
	work.Go(func() {
		if err := s.check.Serve(s.checkListener); err != nil && !errors.Is(err, transport.ErrStopped) {
			failed <- fmt.Errorf("serving checks: %w", err)
		}
	})
	work.Go(func() {
		if err := s.management.Serve(s.adminListener); err != nil && !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("serving the management API: %w", err)
		}
	})
	s.log.Info("serving", "check", s.CheckAddress(), "admin", s.AdminAddress(), "profiles", s.engine.Snapshot().Profiles.Names())
	var err error
	select {
	case <-ctx.Done():
		s.log.Info("stopping", "timeout", s.config.Shutdown.Timeout.String())
	case err = <-failed:
	}
	s.drain()
	stop()
	work.Wait()
	s.leave()
	return errors.Join(err, s.close())
}

// leave takes this replica out of the count, so that nobody waits for it. Where
// that fails its lease ends by itself.
func (s *Server) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := s.fleet.Leave(ctx); err != nil {
		s.log.Warn("this replica could not be taken out of the count; it leaves when its lease ends", "error", err)
	}
}

// drain lets the requests under way finish, within the bound.
func (s *Server) drain() {
	s.health.SetServingStatus("", healthv1.HealthCheckResponse_NOT_SERVING)
	s.health.Shutdown()
	bound, cancel := context.WithTimeout(context.Background(), s.config.Shutdown.Timeout)
	defer cancel()
	var servers sync.WaitGroup
	servers.Go(func() {
		if err := s.check.Shutdown(bound); err != nil {
			s.log.Warn("some checks were cut off: they took longer than the shutdown timeout")
		}
		s.grpc.Stop()
	})
	servers.Go(func() {
		if err := s.management.Shutdown(bound); err != nil {
			s.log.Warn("some management requests were cut off", "error", err)
			_ = s.management.Close()
		}
	})
	servers.Wait()
}

// close releases what New opened, as far as it came.
func (s *Server) close() error {
	var err error
	if s.checkListener != nil {
		_ = s.checkListener.Close() // closed by the server where it served
	}
	if s.adminListener != nil {
		_ = s.adminListener.Close()
	}
	if s.snapshots != nil {
		err = errors.Join(err, s.snapshots.close())
	}
	err = errors.Join(err, s.shared.close())
	if s.store != nil {
		err = errors.Join(err, s.store.Close())
	}
	return err
}
