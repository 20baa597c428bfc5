module gpu-fleet/pause

go 1.26
