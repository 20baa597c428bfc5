// Pulumi's `hcloud` plugin: a bridge of Hetzner's own Terraform provider. The word `schema` writes the schema that the next build embeds.
package main

import (
	"context"
	_ "embed"
	"os"

	pf "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfgen"
)

//go:embed schema.json
var schema []byte

//go:embed bridge-metadata.json
var metadata []byte

func main() {
	if len(os.Args) > 1 && os.Args[1] == "schema" {
		tfgen.MainWithMuxer("hcloud", info(metadata))
		return
	}
	pf.MainWithMuxer(context.Background(), "hcloud", info(metadata), schema)
}
