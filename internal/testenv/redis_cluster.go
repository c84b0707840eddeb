package testenv

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// RedisCluster is a real Redis Cluster of three masters without replicas, each
// with a third of the slots. When one is lost, the others serve on.
type RedisCluster struct{ Nodes []*Redis }

const clusterSlots = 16384

// StartRedisCluster starts the three servers in folders below dir and waits until
// each knows who has which slots.
func StartRedisCluster(ctx context.Context, dir string) (*RedisCluster, error) {
	c := &RedisCluster{}
	if err := c.start(ctx, dir); err != nil {
		c.Stop()
		return nil, err
	}
	return c, nil
}

func (c *RedisCluster) start(ctx context.Context, dir string) error {
	const nodes = 3
	for i := range nodes {
		bus, err := lastingPort()
		if err != nil {
			return err
		}
		node, err := StartRedis(ctx, filepath.Join(dir, fmt.Sprint("node-", i)), "--cluster-enabled", "yes",
			"--cluster-port", strconv.Itoa(bus), "--cluster-node-timeout", "1000", "--cluster-require-full-coverage", "no")
		if err != nil {
			return err
		}
		c.Nodes = append(c.Nodes, node)
		first, last := i*clusterSlots/nodes, (i+1)*clusterSlots/nodes-1
		if err := node.client.ClusterAddSlotsRange(ctx, first, last).Err(); err != nil {
			return fmt.Errorf("give slots to a node of the redis cluster: %w", err)
		}
		host, port, _ := net.SplitHostPort(c.Nodes[0].Addr)
		if err := node.client.Do(ctx, "CLUSTER", "MEET", host, port, c.Nodes[0].bus()).Err(); i > 0 && err != nil {
			return fmt.Errorf("introduce the nodes of the redis cluster: %w", err)
		}
	}
	return c.waitUntilWhole(ctx, 15*time.Second)
}

// bus is the port on which the nodes of a cluster speak to each other.
func (r *Redis) bus() string {
	for i, arg := range r.args {
		if arg == "--cluster-port" {
			return r.args[i+1]
		}
	}
	return ""
}

// waitUntilWhole waits until every node sees all slots served.
func (c *RedisCluster) waitUntilWhole(ctx context.Context, bound time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	for {
		whole := 0
		for _, node := range c.Nodes {
			info, _ := node.client.ClusterInfo(ctx).Result()
			if strings.Contains(info, "cluster_state:ok") && strings.Contains(info, fmt.Sprintf("cluster_slots_ok:%d\r\n", clusterSlots)) {
				whole++
			}
		}
		if whole == len(c.Nodes) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the redis cluster has %d of %d nodes that see all slots: %w", whole, len(c.Nodes), ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// URL is the address for a client.
func (c *RedisCluster) URL() string {
	addresses := make([]string, len(c.Nodes))
	for i, node := range c.Nodes {
		addresses[i] = node.Addr
	}
	return "redis+cluster://" + strings.Join(addresses, ",")
}

// Stop ends the nodes.
func (c *RedisCluster) Stop() {
	for _, node := range c.Nodes {
		node.Stop()
	}
}
