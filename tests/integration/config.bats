#!/usr/bin/env bats
# shellcheck disable=SC2016 # texts for jq and for the inner shell
# A configuration that is wrong in any way makes no container: one line says file, line and place, the status is 1, and nothing was
# created (the leak check sees to that).
load helpers

setup() {
    begin_test
    setup_bundle
    args /probe write /ran yes
    ID=$(container_id)
}

# refused_at PLACE REGEX: `run` says so, in one line with the number of the line, and nothing came of it.
refused_at() {
    run --separate-stderr drupe run --bundle "$BUNDLE" "$ID"
    [ "$status" = 1 ] || fail "status $status: $output$stderr"
    [ -z "$output" ]
    [[ "$stderr" =~ ^"drupe: $BUNDLE/config.json: line "[0-9]+": $1: "$2$ ]] || fail "stderr: $stderr"
    [ -z "$(ls -A "$ROOT")" ]
    [ ! -e "$BUNDLE/rootfs/ran" ]
}

# refused_with TEXT: the same for what has no line: one line that contains the text.
refused_with() {
    run --separate-stderr drupe run --bundle "$BUNDLE" "$ID"
    [ "$status" = 1 ] || fail "status $status: $output$stderr"
    [ -z "$output" ]
    [ "${#stderr_lines[@]}" = 1 ]
    [[ "$stderr" == "drupe: "*"$1"* ]] || fail "stderr: $stderr"
    [ -z "$(ls -A "$ROOT")" ]
    [ ! -e "$BUNDLE/rootfs/ran" ]
}

fail() {
    echo "$*"
    return 1
}

raw() { cat >"$BUNDLE/config.json"; }

# ---------------------------------------------------------------------------------------------------------------------- wrong types

@test "the configuration of these tests is good" {
    run -0 --separate-stderr drupe run --bundle "$BUNDLE" "$ID"
    [ -z "$stderr" ]
    [ "$(cat "$BUNDLE/rootfs/ran")" = yes ]
}

# Each line: what becomes of the configuration; where that is found; what it says there.
wrong_types() {
    local program place text n=0
    while IFS='|' read -r program place text; do
        n=$((n + 1))
        cp "$LIB/base_config.json" "$BUNDLE/config.json"
        config "$program"
        refused_at "$place" "$text"
    done
    [ "$n" -ge 5 ]
}

@test "wrong type: each member of process" {
    wrong_types <<'END'
.process.noNewPrivileges = "true"|process.noNewPrivileges|expected boolean, got string
.process.noNewPrivileges = 1|process.noNewPrivileges|expected boolean, got number
.process.capabilities = "CAP_CHOWN"|process.capabilities|expected object, got string
.process.capabilities = ["CAP_CHOWN"]|process.capabilities|expected object, got array
.process.capabilities.bounding = "CAP_CHOWN"|process.capabilities.bounding|expected array, got string
.process.capabilities.effective[0] = 1|process.capabilities.effective[0]|expected string, got number
.process.user = "root"|process.user|expected object, got string
.process.user.uid = "1000"|process.user.uid|expected number, got string
.process.user.additionalGids = 5|process.user.additionalGids|expected array, got number
.process.user.umask = "077"|process.user.umask|expected number, got string
.process.rlimits = { RLIMIT_NOFILE: 5 }|process.rlimits|expected array, got object
.process.rlimits = [{ type: "RLIMIT_NOFILE", hard: 5, soft: "5" }]|process.rlimits[0].soft|expected number, got string
.process.apparmorProfile = 1|process.apparmorProfile|expected string, got number
.process.apparmorProfile = true|process.apparmorProfile|expected string, got boolean
.process.selinuxLabel = ["l"]|process.selinuxLabel|expected string, got array
.process.oomScoreAdj = "100"|process.oomScoreAdj|expected number, got string
.process.terminal = "false"|process.terminal|expected boolean, got string
.process.args = "/bin/true"|process.args|expected array, got string
.process.env = { PATH: "/bin" }|process.env|expected array, got object
.process.scheduler = "SCHED_OTHER"|process.scheduler|expected object, got string
END
}

@test "wrong type: each member of linux" {
    wrong_types <<'END'
.linux = []|linux|expected object, got array
.linux.namespaces = { pid: {} }|linux.namespaces|expected array, got object
.linux.namespaces[0] = "pid"|linux.namespaces[0]|expected object, got string
.linux.namespaces[0].path = 1|linux.namespaces[0].path|expected string, got number
.linux.uidMappings = { containerID: 0, hostID: 0, size: 1 }|linux.uidMappings|expected array, got object
.linux.maskedPaths = "/proc/kcore"|linux.maskedPaths|expected array, got string
.linux.readonlyPaths = { "/proc/sys": true }|linux.readonlyPaths|expected array, got object
.linux.maskedPaths[0] = null|linux.maskedPaths[0]|expected string, got null
.linux.devices = {}|linux.devices|expected array, got object
.linux.sysctl = ["net.ipv4.ip_forward=1"]|linux.sysctl|expected object, got array
.linux.sysctl = { "net.ipv4.ip_forward": 1 }|linux.sysctl.net.ipv4.ip_forward|expected string, got number
.linux.rootfsPropagation = true|linux.rootfsPropagation|expected string, got boolean
.linux.cgroupsPath = {}|linux.cgroupsPath|expected string, got object
.linux.personality = "LINUX32"|linux.personality|expected object, got string
END
}

@test "wrong type: seccomp and its members" {
    wrong_types <<'END'
.linux.seccomp = ["read"]|linux.seccomp|expected object, got array
.linux.seccomp = "unconfined"|linux.seccomp|expected object, got string
.linux.seccomp = { defaultAction: "SCMP_ACT_ERRNO", syscalls: { names: ["read"], action: "SCMP_ACT_ALLOW" } }|linux.seccomp.syscalls|expected array, got object
.linux.seccomp = { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["mount"], action: 5 }] }|linux.seccomp.syscalls[0].action|expected string, got number
.linux.seccomp = { defaultAction: "SCMP_ACT_ALLOW", flags: "SECCOMP_FILTER_FLAG_LOG" }|linux.seccomp.flags|expected array, got string
END
}

@test "wrong type: resources" {
    wrong_types <<'END'
.linux.resources = []|linux.resources|expected object, got array
.linux.resources.devices = { allow: false }|linux.resources.devices|expected array, got object
.linux.resources.devices[0].allow = "false"|linux.resources.devices[0].allow|expected boolean, got string
.linux.resources.devices[0].major = "10"|linux.resources.devices[0].major|expected number, got string
.linux.resources.pids.limit = "10"|linux.resources.pids.limit|expected number, got string
.linux.resources.pids = 10|linux.resources.pids|expected object, got number
.linux.resources.memory.limit = "1G"|linux.resources.memory.limit|expected number, got string
.linux.resources.memory.disableOOMKiller = "no"|linux.resources.memory.disableOOMKiller|expected boolean, got string
.linux.resources.cpu.quota = "50000"|linux.resources.cpu.quota|expected number, got string
.linux.resources.cpu.cpus = 0|linux.resources.cpu.cpus|expected string, got number
END
}

@test "wrong type: root, mounts, hooks, annotations, names" {
    wrong_types <<'END'
.root.readonly = "yes"|root.readonly|expected boolean, got string
.root = "rootfs"|root|expected object, got string
.mounts = {}|mounts|expected array, got object
.mounts[0].options = "ro,nosuid"|mounts[0].options|expected array, got string
.mounts[1].options[0] = 1|mounts[1].options[0]|expected string, got number
.hooks = []|hooks|expected object, got array
.hooks.prestart = { path: "/bin/true" }|hooks.prestart|expected array, got object
.hooks.poststop = [{ path: "/bin/true", timeout: "5s" }]|hooks.poststop[0].timeout|expected number, got string
.annotations = { a: true }|annotations.a|expected string, got boolean
.hostname = ["h"]|hostname|expected string, got array
END
}

# ---------------------------------------------------------------------------------------------------------------------- wrong values

@test "wrong value: an unknown word of each enum" {
    local place value
    while read -r place value; do
        config ".$value"
        refused_at "$place" 'unknown value "[^"]*"'
        cp "$LIB/base_config.json" "$BUNDLE/config.json"
    done <<'END'
linux.namespaces[6].type linux.namespaces += [{ type: "net" }]
linux.rootfsPropagation linux.rootfsPropagation = "rw"
linux.seccomp.defaultAction linux.seccomp = { defaultAction: "SCMP_ACT_DENY" }
linux.seccomp.defaultAction linux.seccomp = { defaultAction: "scmp_act_errno" }
linux.seccomp.architectures[0] linux.seccomp = { defaultAction: "SCMP_ACT_ERRNO", architectures: ["amd64"] }
linux.seccomp.flags[0] linux.seccomp = { defaultAction: "SCMP_ACT_ERRNO", flags: ["LOG"] }
linux.seccomp.syscalls[0].action linux.seccomp = { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["mount"], action: "SCMP_ACT_BLOCK" }] }
process.rlimits[0].type process.rlimits = [{ type: "NOFILE", hard: 1, soft: 1 }]
process.scheduler.policy process.scheduler = { policy: "SCHED_FAST" }
process.ioPriority.class process.ioPriority = { class: "best" }
linux.personality.domain linux.personality = { domain: "LINUX64" }
linux.memoryPolicy.mode linux.memoryPolicy = { mode: "bind" }
END
}

@test "wrong value: a namespace listed twice" {
    config '.linux.namespaces += [{ type: "pid" }]'
    refused_at 'linux.namespaces[6]' 'namespace "pid" is listed twice'
}

@test "wrong value: a namespace listed twice, once by path" {
    config '.linux.namespaces += [{ type: "network", path: "/proc/self/ns/net" }]'
    refused_at 'linux.namespaces[6]' 'namespace "network" is listed twice'
}

@test "wrong value: a limit listed twice" {
    config '.process.rlimits = [{ type: "RLIMIT_CORE", hard: 0, soft: 0 }, { type: "RLIMIT_CORE", hard: 9, soft: 9 }]'
    refused_at 'process.rlimits[1]' 'RLIMIT_CORE is listed twice'
}

@test "wrong value: numbers out of range" {
    local place
    for place in 'process.user.uid 4294967296' 'process.user.gid -1' 'process.user.uid 1e3' 'process.user.uid 1.0' \
        'process.oomScoreAdj 1001' 'linux.resources.pids.limit 9223372036854775808' 'linux.resources.memory.limit -9223372036854775809' \
        'linux.resources.blockIO.weight 65536'; do
        # As text: jq would round the numbers.
        config ".${place% *} = \"NUMBER\""
        sed -i "s/\"NUMBER\"/${place#* }/" "$BUNDLE/config.json"
        refused_at "${place% *}" '.* is (out of range, .*|not an integer)'
        cp "$LIB/base_config.json" "$BUNDLE/config.json"
    done
}

@test "wrong value: a relative path where an absolute one is meant" {
    local place
    for place in process.cwd 'linux.maskedPaths[1]' 'linux.readonlyPaths[0]' 'linux.namespaces[1].path'; do
        config ".$place = \"proc/self\""
        refused_at "$place" '"proc/self" is not an absolute path'
        cp "$LIB/base_config.json" "$BUNDLE/config.json"
    done
    config '.hooks.poststop = [{ path: "bin/true" }]'
    refused_at 'hooks.poststop[0].path' '"bin/true" is not an absolute path'
}

@test "wrong value: a required member is missing" {
    local member
    for member in ociVersion process.cwd process.args root.path 'linux.namespaces[0].type' 'linux.resources.devices[0].allow'; do
        config "del(.$member)"
        refused_with "member \"${member##*.}\" is required"
        cp "$LIB/base_config.json" "$BUNDLE/config.json"
    done
}

@test "wrong value: a version that is none, and one of another major version" {
    config '.ociVersion = "latest"'
    refused_at ociVersion '"latest" is not a version like 1\.3\.0'
    config '.ociVersion = "2.0.0"'
    refused_at ociVersion 'version 2\.0\.0 is not supported, only 1\.x is'
}

@test "every version 0.x and 1.x is accepted" {
    local version
    for version in 0.1.0 0.2.0-dev 1.0.0-rc1 1.0.0 1.0.2-dev 1.2.1+dev 1.3.0 1.99.0; do
        config --arg v "$version" '.ociVersion = $v'
        run -0 drupe check "$BUNDLE"
        [ -z "$output" ]
    done
}

@test "vm: what a virtual machine of ours can't be is refused, not ignored" {
    config '.vm = { kernel: { path: "/boot/vmlinuz" }, image: { path: "/x", format: "raw" } }'
    refused_with 'vm.image: the root file system is root.path'
    config '.vm = { kernel: { path: "/boot/vmlinuz", initrd: "/x" } }'
    refused_with "vm.kernel.initrd: the guest's first file system is drupe's own"
    config 'del(.vm) | .annotations["org.drupe.isolation"] = "vm" | .linux.namespaces |= map(select(.type != "network"))'
    refused_with 'linux.namespaces: a virtual machine has no network: the container needs a network namespace of its own'
}

@test "flags of the personality, of which there are none, are ignored with a warning" {
    config '.linux.personality = { domain: "LINUX", flags: ["NO_RANDOMIZE"] }'
    run -0 --separate-stderr drupe run --bundle "$BUNDLE" "$ID"
    [ "$stderr" = 'drupe: warning: linux.personality.flags: "NO_RANDOMIZE" ignored' ]
}

@test "members that are unknown are ignored, also of known objects and whatever they are" {
    config '.windows = { x: [1.5, -0, null] } | .process.nonsense = {} | .root.x = "y" | .linux.namespaces[0].x = [[[[]]]] | .mounts[0].readonly = "no"
        | .solaris = null | .linux.resources.memory = { x: 1 } | .process.NoNewPrivileges = "x"'
    run -0 --separate-stderr drupe run --bundle "$BUNDLE" "$ID"
    [ -z "$stderr" ]
    [ -e "$BUNDLE/rootfs/ran" ]
}

@test "members that are null count as absent" {
    config '.hooks = null | .process.user = null | .process.rlimits = null | .linux.seccomp = null | .linux.sysctl = null | .vm = null
        | .annotations = { a: null }'
    run -0 --separate-stderr drupe run --bundle "$BUNDLE" "$ID"
    [ -z "$stderr" ]
}

# ------------------------------------------------------------------------------------------------------------------------- no JSON

@test "no JSON: a repeated member, plain and escaped" {
    sed -i 's/"noNewPrivileges": true/"noNewPrivileges": true, "noNewPrivileges": false/' "$BUNDLE/config.json"
    refused_at 'process.noNewPrivileges' '.*repeated.*'
    sed 's/"noNewPrivileges": true/"noNewPrivileges": true, "\\u006eoNewPrivileges": false/' "$LIB/base_config.json" | raw
    refused_at 'process.noNewPrivileges' '.*repeated.*'
}

@test "no JSON: trailing data, a cut document, an empty one, one of zeros" {
    cat "$LIB/base_config.json" - <<<'{}' | raw
    refused_with 'config.json: line '
    head -c 500 "$LIB/base_config.json" | raw
    refused_with 'config.json: line '
    : | raw
    refused_with 'config.json: line '
    head -c 100000 /dev/zero | raw
    refused_with 'config.json: line '
}

@test "no JSON: invalid UTF-8 and NUL, in known and unknown members" {
    local bytes
    for bytes in '\xff' '\xc0\xaf' '\xed\xa0\x80' '\x00' '\\u0000' '\\ud800'; do
        sed "s/\"test\"/\"a${bytes}b\"/" "$LIB/base_config.json" | raw
        refused_with 'config.json: line 19: '
        sed "s/\"hostname\": \"test\"/\"unknown\": \"a${bytes}b\"/" "$LIB/base_config.json" | raw
        refused_with 'config.json: line 19: '
    done
}

@test "no JSON: nested too deeply, without a crash" {
    python3 -c 'print("{\"ociVersion\": \"1.0.0\", \"x\": " + "[" * 33 + "]" * 33 + "}")' | raw
    refused_with 'config.json: line 1: x'
    python3 -c 'print("[" * 5000000)' | raw
    refused_with 'config.json: line 1'
}

@test "no JSON: 20 MB" {
    { printf '{"ociVersion": "1.0.0", "x": "' && head -c 20000000 /dev/zero | tr '\0' x && printf '"}'; } | raw
    refused_with 'config.json: larger than 16777216 bytes'
}

@test "no file: a directory, a FIFO, a socket, an endless device, a link to one, nothing" {
    local file=$BUNDLE/config.json
    rm "$file"
    refused_with 'config.json: No such file or directory'
    mkdir "$file"
    refused_with 'config.json: not a regular file'
    rmdir "$file"
    mkfifo "$file"
    refused_with 'config.json: not a regular file'
    rm "$file"
    python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$file"
    refused_with 'config.json: No such device or address'
    rm "$file"
    ln -s /dev/zero "$file"
    refused_with 'config.json: not a regular file'
    ln -sf /dev/tty "$file"
    refused_with 'config.json: '
    ln -sf config.json "$file"
    refused_with 'config.json: '
}

@test "no file: --config names another one, with the same rules" {
    mkfifo "$BUNDLE/fifo"
    run -1 --separate-stderr drupe run --bundle "$BUNDLE" --config fifo "$ID"
    [ "$stderr" = 'drupe: fifo: not a regular file' ]
    run -1 --separate-stderr drupe create --bundle "$BUNDLE" --config /dev/zero "$ID"
    [ "$stderr" = 'drupe: /dev/zero: not a regular file' ]
    mv "$BUNDLE/config.json" "$BUNDLE/other.json"
    run -0 drupe run --bundle "$BUNDLE" --config other.json "$ID"
    [ -e "$BUNDLE/rootfs/ran" ]
}

# ---------------------------------------------------------------------------------------------------------------------- by hundreds

@test "generated: check refuses 2000 bad configurations at the right place, in bounded time and memory" {
    local count=${DRUPE_BAD_CONFIGS:-2000}
    run "$LIB/bad_configs.py" check "$RUNTIME" "$BUNDLE" "$BATS_TEST_TMPDIR" "$count"
    echo "$output"
    [ "$status" = 0 ]
    [ "$(tail -n 1 <<<"$output" | cut -d' ' -f1)" -ge "$count" ]
}

@test "generated: run makes nothing of a sample of them" {
    run "$LIB/bad_configs.py" run "$RUNTIME" "$BUNDLE" "$BATS_TEST_TMPDIR" 60
    echo "$output"
    [ "$status" = 0 ]
    [ "$(tail -n 1 <<<"$output" | cut -d' ' -f1)" -ge 60 ]
    [ ! -e "$BUNDLE/rootfs/ran" ]
}

@test "generated: lists of ten thousands of elements cost neither time nor memory beyond measure" {
    run "$LIB/bad_configs.py" large "$RUNTIME" "$BUNDLE" "$BATS_TEST_TMPDIR"
    echo "$output"
    [ "$status" = 0 ]
}
