# CRI-O is not in Debian 12: what docs/cri-o.md says is read as far as it can be.
# Needs: jq python3
load callers

toml() { python3 -c 'import json, sys, tomllib; json.dump(tomllib.load(sys.stdin.buffer), sys.stdout)'; }
yaml() { python3 -c 'import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)'; }

@test "the snippet for crio.conf names a runtime that answers as CRI-O wants it" {
    local conf path
    conf=$(snippet cri-o.md crio.conf | toml)
    jq -e '.crio.runtime.runtimes | keys == ["drupe"]' <<<"$conf"
    jq -e '.crio.runtime.runtimes.drupe | .runtime_type == "oci" and (keys - ["runtime_path", "runtime_type", "runtime_root"]) == []' <<<"$conf"
    path=$(jq -r .crio.runtime.runtimes.drupe.runtime_path <<<"$conf")
    "$path" --root "$(jq -r .crio.runtime.runtimes.drupe.runtime_root <<<"$conf")" features 2>&1 | jq -e '.ociVersionMax | length > 0'
}

@test "RuntimeClass and pod name that runtime" {
    [ "$(snippet cri-o.md runtimeclass.yaml | yaml | jq -r '.apiVersion, .kind, .handler' | xargs)" = 'node.k8s.io/v1 RuntimeClass drupe' ]
    [ "$(snippet cri-o.md pod.yaml | yaml | jq -r .spec.runtimeClassName)" = "$(snippet cri-o.md runtimeclass.yaml | yaml | jq -r .metadata.name)" ]
}
