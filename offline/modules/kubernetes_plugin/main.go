// Pulumi's own kubernetes plugin, as its command is, which its module cannot build: what that embeds is generated in a checkout.
package main

import (
	_ "embed"

	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/provider"
)

//go:embed schema.json
var schema []byte

var version = "0.0.0" // set by the build

func main() {
	provider.Serve("kubernetes", version, schema, []byte("{}"))
}
