// The server: all services in one process, every commit of its store on the disk before it is acknowledged.
package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	schema "go.temporal.io/server/schema/sqlite"
	"go.temporal.io/server/temporal"
)

const (
	loopback  = "127.0.0.1"
	namespace = "bench"
	shards    = 4
	// No limit of a rate is what is measured.
	unlimited = 1_000_000
)

// serve runs the server until it is told to end.
func serve(port, database string) error {
	frontend, err := strconv.Atoi(port)
	if err != nil {
		return fmt.Errorf("the port %q is no number", port)
	}
	store := config.SQL{
		PluginName:   sqlite.PluginName,
		DatabaseName: database,
		ConnectAttributes: map[string]string{
			"mode": "rwc",
			// The cheapest journal that is durable: one fsync a commit.
			"journal_mode": "WAL",
			"synchronous":  "FULL",
		},
	}
	if err := schema.SetupSchema(&store); err != nil {
		return err
	}
	only, err := schema.NewNamespaceConfig("active", namespace, false, nil)
	if err != nil {
		return err
	}
	if err := schema.CreateNamespaces(&store, only); err != nil {
		return err
	}
	settings, err := settings(frontend, &store)
	if err != nil {
		return err
	}
	server, err := temporal.NewServer(
		temporal.WithConfig(settings),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithLogger(log.NewZapLogger(log.BuildZapLogger(log.Config{Stdout: false, Level: "fatal"}))),
		temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
		temporal.WithDynamicConfigClient(limits()),
	)
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	ending := make(chan os.Signal, 1)
	signal.Notify(ending, os.Interrupt, syscall.SIGTERM)
	<-ending
	return server.Stop()
}

// limits lifts the limits of rates, and lets the server hand a task to the worker that asked for it without a poll in between.
func limits() dynamicconfig.StaticClient {
	client := dynamicconfig.StaticClient{
		dynamicconfig.EnableActivityEagerExecution.Key(): true,
	}
	for _, limit := range []dynamicconfig.GenericSetting{
		dynamicconfig.FrontendRPS,
		dynamicconfig.FrontendMaxNamespaceRPSPerInstance,
		dynamicconfig.FrontendPersistenceMaxQPS,
		dynamicconfig.HistoryRPS,
		dynamicconfig.HistoryPersistenceMaxQPS,
		// As it comes, a shard looks for tasks 20 times a second, which is 50 ms for each of a chain.
		dynamicconfig.TransferProcessorMaxPollRPS,
		dynamicconfig.TimerProcessorMaxPollRPS,
		dynamicconfig.VisibilityProcessorMaxPollRPS,
		dynamicconfig.MatchingRPS,
		dynamicconfig.MatchingPersistenceMaxQPS,
		dynamicconfig.VisibilityPersistenceMaxReadQPS,
		dynamicconfig.VisibilityPersistenceMaxWriteQPS,
	} {
		client[limit.Key()] = unlimited
	}
	return client
}

// settings are those of a server on this machine alone.
func settings(frontend int, store *config.SQL) (*config.Config, error) {
	address := net.JoinHostPort(loopback, strconv.Itoa(frontend))
	services := map[string]config.Service{}
	for _, name := range []string{"frontend", "history", "matching", "worker"} {
		rpc, err := freePort()
		if err != nil {
			return nil, err
		}
		membership, err := freePort()
		if err != nil {
			return nil, err
		}
		if name == "frontend" {
			rpc = frontend
		}
		services[name] = config.Service{RPC: config.RPC{GRPCPort: rpc, MembershipPort: membership, BindOnLocalHost: true}}
	}
	disabled := "disabled"
	return &config.Config{
		Global: config.Global{
			Membership: config.Membership{MaxJoinDuration: 30 * time.Second, BroadcastAddress: loopback},
		},
		Persistence: config.Persistence{
			DefaultStore:     sqlite.PluginName,
			VisibilityStore:  sqlite.PluginName,
			NumHistoryShards: shards,
			DataStores:       map[string]config.DataStore{sqlite.PluginName: {SQL: store}},
		},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10,
			MasterClusterName:        "active",
			CurrentClusterName:       "active",
			ClusterInformation: map[string]cluster.ClusterInformation{
				"active": {Enabled: true, InitialFailoverVersion: 1, RPCAddress: address},
			},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Services:            services,
		Archival: config.Archival{
			History:    config.HistoryArchival{State: disabled},
			Visibility: config.VisibilityArchival{State: disabled},
		},
		PublicClient: config.PublicClient{HostPort: address},
		NamespaceDefaults: config.NamespaceDefaults{Archival: config.ArchivalNamespaceDefaults{
			History:    config.HistoryArchivalNamespaceDefaults{State: disabled},
			Visibility: config.VisibilityArchivalNamespaceDefaults{State: disabled},
		}},
	}, nil
}

// freePort asks the kernel for a port on loopback that nobody has.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}
