// CoreDNS with those of its plugins that a node's Corefile names: all of them would take five times as long to build.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"

	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/hosts"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
)

func main() {
	// A query goes through them in this order, which is CoreDNS' own.
	if err := dnsserver.SetDirectives([]string{"health", "ready", "errors", "cache", "hosts", "kubernetes"}); err != nil {
		panic(err)
	}
	coremain.Run()
}
