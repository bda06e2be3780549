#!/usr/bin/env bats
# shellcheck disable=SC2016 # texts for the inner shell and for jq
# The hooks of a config: when each kind runs, where, with what, and what its failure means.
load helpers

setup() {
    begin_test
    setup_bundle
    args /probe echo started
    TRACE=$BATS_TEST_TMPDIR/trace
    : >"$TRACE"
}

# hook KIND SCRIPT [JQ]: adds a shell hook of that kind; $T is the trace file. JQ changes the hook object.
hook() {
    config --arg kind "$1" --arg script "$2" --arg trace "$TRACE" \
        '.hooks[$kind] += [{ path: "/bin/sh", args: ["sh", "-c", $script], env: ["PATH=/usr/bin:/bin:/usr/sbin:/sbin", "T=" + $trace] } | '"${3:-.}]"
}

# tracing KIND...: hooks that write their kind and the status in their state.
tracing() {
    local kind
    for kind in "$@"; do hook "$kind" "echo $kind \$($JQ -r .status) >>\"\$T\""; done
}

# Inside the container the trace file is /trace.
bind_trace() { config --arg trace "$TRACE" '.mounts += [{ destination: "/trace", source: $trace, options: ["bind"] }]'; }

# inside SCRIPT: adds a startContainer hook.
inside() {
    config --arg script "$1" '.hooks.startContainer += [{ path: "/bin/sh", args: ["sh", "-c", $script], env: ["PATH=/bin"] }]'
}

trace() { tr '\n' ';' <"$TRACE"; }

is_stopped() { [ "$(drupe state "$(container_id)" | jq -r .status)" = stopped ]; }

nothing_left() {
    run ! drupe state "$(container_id)"
    [[ "$output" == *"does not exist"* ]]
}

@test "each kind of hook runs at its time, in the order of the list" {
    tracing poststop poststart prestart createRuntime createContainer prestart createRuntime
    hook prestart 'echo last prestart >>"$T"'
    bind_trace
    inside 'echo startContainer $(sed "s/.*\"status\":\"\([a-z]*\)\".*/\1/") >>/trace'
    args /bin/sh -c 'echo process >>/trace'
    detached create --bundle "$BUNDLE" "$(container_id)"
    [ "$(trace)" = "prestart creating;prestart creating;last prestart;createRuntime creating;createRuntime creating;createContainer creating;" ]
    : >"$TRACE"
    detached start "$(container_id)"
    wait_for 5 grep -q process "$TRACE"
    # The program and the poststart hook run at the same time.
    [ "$(head -n 1 "$TRACE")" = "startContainer created" ]
    [ "$(tail -n +2 "$TRACE" | sort | tr '\n' ';')" = "poststart running;process;" ]
    : >"$TRACE"
    wait_for 5 is_stopped
    run -0 drupe delete "$(container_id)"
    [ "$(trace)" = "poststop stopped;" ]
}

@test "run runs all of them" {
    tracing prestart createRuntime createContainer poststart poststop
    run_container
    [ "$status" = 0 ]
    [ "$output" = started ]
    [ "$(trace)" = "prestart creating;createRuntime creating;createContainer creating;poststart running;poststop stopped;" ]
}

@test "the state on standard input is one line of JSON with exactly the specified members" {
    config '.annotations = { "a/b": "x/y \"quoted\" \n", "empty": "" }'
    hook createRuntime 'cat >"$T"'
    run_container
    [ "$status" = 0 ]
    [ "$(tr -cd '\n' <"$TRACE" | wc -c)" -le 1 ]
    grep -qF '"a/b":"x/y ' "$TRACE"
    grep -qF "\"bundle\":\"$BUNDLE\"" "$TRACE"
    run -0 jq -c 'del(.pid)' "$TRACE"
    [ "$output" = "$(jq -nc --arg id "$(container_id)" --arg b "$BUNDLE" '{ ociVersion: "1.3.0", id: $id, status: "creating", bundle: $b,
        annotations: { "a/b": "x/y \"quoted\" \n", empty: "" } }')" ]
}

@test "the state has no annotations where the config has none" {
    hook createRuntime 'cat >"$T"'
    run_container
    [ "$(JQ=jq jq -c 'keys_unsorted' "$TRACE")" = '["ociVersion","id","status","pid","bundle"]' ]
}

@test "the pid is the host's for hooks of the runtime, the container's for hooks inside, and absent after the end" {
    local kind pid
    bind_trace
    for kind in prestart createRuntime createContainer poststart poststop; do hook "$kind" "echo $kind \$($JQ .pid) >>\"\$T\""; done
    inside 'echo startContainer $(sed "s/.*\"pid\":\([0-9]*\).*/\1/") >>/trace'
    args /bin/sleep 100
    detached run -d --bundle "$BUNDLE" --pid-file "$BATS_TEST_TMPDIR/pid" "$(container_id)"
    pid=$(cat "$BATS_TEST_TMPDIR/pid")
    run -0 drupe delete --force "$(container_id)"
    [ "$(trace)" = "prestart $pid;createRuntime $pid;createContainer 1;startContainer 1;poststart $pid;poststop null;" ]
}

@test "hooks start in the bundle, whatever the caller's directory is; startContainer hooks in the process's" {
    local kind
    bind_trace
    config '.process.cwd = "/tmp"'
    for kind in prestart createRuntime createContainer poststart poststop; do hook "$kind" 'pwd >>"$T"'; done
    inside 'pwd >>/trace'
    (cd / && detached run --bundle "$BUNDLE" "$(container_id)")
    [ "$(trace)" = "$BUNDLE;$BUNDLE;$BUNDLE;/tmp;$BUNDLE;$BUNDLE;" ]
}

@test "the environment is exactly the hook's own" {
    local kind
    export DRUPE_TEST_LEAK=1
    for kind in prestart createRuntime createContainer poststart poststop; do
        config --arg kind "$kind" '.hooks[$kind] = [{ path: "/usr/bin/env", env: ["A=two words", "B"] }]'
    done
    run_container
    [ "$status" = 0 ]
    [ "$(grep -vx started <<<"$output" | sort | uniq -c | tr -s ' \n' ' ')" = " 5 A=two words 5 B " ]
}

@test "a hook without env has an empty environment, a startContainer hook the process's" {
    export DRUPE_TEST_LEAK=1
    config '.process.env += ["OF=process"] | .hooks.prestart = [{ path: "/usr/bin/env" }] | .hooks.poststop = [{ path: "/usr/bin/env", env: [] }]
        | .hooks.startContainer = [{ path: "/probe", args: ["probe", "env"] }, { path: "/probe", args: ["probe", "env"], env: [] }]'
    run_container
    [ "$status" = 0 ]
    [ "$(sort <<<"$output" | cut -d= -f1 | tr '\n' ' ')" = "HOME OF PATH started " ]
}

@test "args are passed as they are, and without args the program gets its path" {
    config --arg p "$PROBE" '.hooks.createRuntime = [{ path: $p, args: ["other name", "echo", "two words", "", "-x"] }]'
    run_container
    [ "${lines[0]}" = "two words  -x" ]
    printf '#!/bin/sh\necho "$0 $#"\n' >"$BATS_TEST_TMPDIR/script"
    chmod +x "$BATS_TEST_TMPDIR/script"
    config --arg p "$BATS_TEST_TMPDIR/script" '.hooks.createRuntime = [{ path: $p }, { path: $p, args: [] }]'
    run_container
    [ "${lines[0]}" = "$BATS_TEST_TMPDIR/script 0" ]
    [ "${lines[1]}" = "$BATS_TEST_TMPDIR/script 0" ]
}

@test "a hook has default signals, a process group of its own, and no descriptors but the standard ones" {
    config --arg p "$PROBE" '.hooks = { createRuntime: [{ path: $p, args: ["probe", "mask", ",", "fds"] }] }
        | .hooks.startContainer = [{ path: "/probe", args: .hooks.createRuntime[0].args }]'
    hook createRuntime 'set -- $(cat /proc/$$/stat); [ $5 = $$ ] && echo leader >>"$T"'
    trap '' PIPE TERM
    run timeout "$DRUPE_TIMEOUT" "$RUNTIME" --root "$ROOT" run --bundle "$BUNDLE" --preserve-fds 1 "$(container_id)" 3</dev/null
    trap - PIPE TERM
    [ "$status" = 0 ]
    [ "$(trace)" = "leader;" ]
    [ "$(cut -d' ' -f1 <<<"$output" | tr '\n' ' ')" = "blocked ignored 0 1 2 blocked ignored 0 1 2 started " ]
    [ "$(grep -c ' ' <<<"$output")" = 6 ]
}

@test "a failing prestart, createRuntime or createContainer hook fails the create, and leaves only the work of the poststop hooks" {
    local kind
    for kind in prestart createRuntime createContainer; do
        : >"$TRACE"
        config 'del(.hooks)'
        hook "$kind" 'echo words of the hook >&2; exit 3'
        hook "$kind" 'echo next >>"$T"'
        tracing poststart poststop
        run -1 drupe create --bundle "$BUNDLE" --pid-file "$BATS_TEST_TMPDIR/pid" "$(container_id)"
        [[ "$output" == *"hooks.${kind}[0] (/bin/sh): exit status 3"* ]]
        [[ "$output" == *"words of the hook"* ]]
        [ ! -e "$BATS_TEST_TMPDIR/pid" ]
        [ "$(trace)" = "poststop stopped;" ]
        nothing_left
    done
}

@test "a failing startContainer hook fails the start, the program does not run, and the container is destroyed" {
    tracing poststart poststop
    bind_trace
    inside 'exit 4'
    args /bin/sh -c 'echo process >>/trace'
    detached create --bundle "$BUNDLE" "$(container_id)"
    run -1 drupe start "$(container_id)"
    [[ "$output" == *"hooks.startContainer[0] (/bin/sh): exit status 4"* ]]
    [ "$(trace)" = "poststop stopped;" ]
    nothing_left
    : >"$TRACE"
    run_container
    [ "$status" = 1 ]
    [ "$(trace)" = "poststop stopped;" ]
    nothing_left
}

@test "a failing poststart hook kills and deletes the container" {
    local how
    hook poststart 'exit 5'
    hook poststart 'echo next >>"$T"'
    tracing poststop
    args /bin/sleep 1000
    detached create --bundle "$BUNDLE" --pid-file "$BATS_TEST_TMPDIR/pid" "$(container_id)"
    run -1 drupe start "$(container_id)"
    [[ "$output" == *"hooks.poststart[0] (/bin/sh): exit status 5"* ]]
    [ "$(trace)" = "poststop stopped;" ]
    nothing_left
    run ! kill -0 "$(cat "$BATS_TEST_TMPDIR/pid")"
    for how in '' --detach; do
        : >"$TRACE"
        # shellcheck disable=SC2086 # none or one word
        run -1 drupe run $how --bundle "$BUNDLE" "$(container_id)" </dev/null
        [[ "$output" == *"hooks.poststart[0] (/bin/sh): exit status 5"* ]]
        [ "$(trace)" = "poststop stopped;" ]
        nothing_left
    done
}

@test "a failing poststop hook is a warning, the next ones run, and the exit status is untouched" {
    hook poststop 'exit 6'
    config '.hooks.poststop += [{ path: "/no/such/hook" }]'
    tracing poststop
    detached create --bundle "$BUNDLE" "$(container_id)"
    run -0 drupe delete "$(container_id)"
    [[ "$output" == *"hooks.poststop[0] (/bin/sh): exit status 6"* ]]
    [[ "$output" == *"hooks.poststop[1] (/no/such/hook): execute: No such file or directory"* ]]
    [ "$(trace)" = "poststop stopped;" ]
    nothing_left
    args /probe exit 9
    run_container
    [ "$status" = 9 ]
    [ "$(trace)" = "poststop stopped;poststop stopped;" ]
}

@test "poststop hooks run with the config the container was created from, also when the bundle is gone" {
    tracing poststop
    detached create --bundle "$BUNDLE" "$(container_id)"
    config '.hooks = {}'
    mv "$BUNDLE" "$BUNDLE.gone"
    run -0 drupe delete "$(container_id)"
    mv "$BUNDLE.gone" "$BUNDLE"
    [ "$output" = "" ]
    [ "$(trace)" = "poststop stopped;" ]
}

@test "poststart hooks are those of the config the container was created from" {
    tracing poststart
    detached create --bundle "$BUNDLE" "$(container_id)"
    config '.hooks = { poststart: [{ path: "/bin/false" }] }'
    detached start "$(container_id)"
    [ "$(trace)" = "poststart running;" ]
    run -0 drupe delete --force "$(container_id)"
}

@test "delete --force of a running container runs the poststop hooks, once" {
    tracing poststop
    args /bin/sleep 1000
    detached run -d --bundle "$BUNDLE" "$(container_id)"
    run -0 drupe delete --force "$(container_id)"
    [ "$(trace)" = "poststop stopped;" ]
    run -0 drupe delete --force "$(container_id)"
    [ "$(trace)" = "poststop stopped;" ]
}

@test "a hook that takes longer than its timeout is killed with its process group, and the create fails" {
    local kind
    for kind in prestart createContainer; do
        config 'del(.hooks)'
        : >"$TRACE"
        hook "$kind" 'exec 9>"$T.lock"; flock 9; sleep 1000 & wait' '.timeout = 1'
        tracing poststop
        run -1 drupe create --bundle "$BUNDLE" "$(container_id)"
        [[ "$output" == *"hooks.${kind}[0] (/bin/sh): killed after its timeout of 1000 ms"* ]]
        # Held by the hook and its child: free when both are gone.
        flock -w 60 "$TRACE.lock" true
        [ "$(trace)" = "poststop stopped;" ]
        nothing_left
    done
}

@test "a poststop hook that takes longer than its timeout is killed, and the next one runs" {
    hook poststop 'sleep 1000' '.timeout = 1'
    tracing poststop
    run_container
    [ "$status" = 0 ]
    [[ "$output" == *"hooks.poststop[0] (/bin/sh): killed after its timeout of 1000 ms"* ]]
    [ "$(trace)" = "poststop stopped;" ]
}

@test "a hook that dies of a signal is reported" {
    hook prestart 'kill -SEGV $$'
    run -1 drupe create --bundle "$BUNDLE" "$(container_id)"
    [[ "$output" == *"hooks.prestart[0] (/bin/sh): ended by signal 11"* ]]
    nothing_left
}

@test "hooks may ignore or close their standard input, however large the state is" {
    jq -cn '{ big: ("x" * 1048576) }' >"$BATS_TEST_TMPDIR/annotations"
    config --slurpfile a "$BATS_TEST_TMPDIR/annotations" '.annotations = $a[0]'
    hook prestart 'exit 0' '.timeout = 20'
    hook createRuntime 'exec 0<&-; echo deaf >>"$T"' '.timeout = 20'
    hook createContainer 'head -c 10 >/dev/null; echo head >>"$T"' '.timeout = 20'
    hook poststop 'wc -c >>"$T"' '.timeout = 20'
    run_container
    [ "$status" = 0 ]
    [ "$(sed -n 1,2p "$TRACE" | tr '\n' ' ')" = "deaf head " ]
    [ "$(sed -n 3p "$TRACE")" -gt 1048576 ]
}

@test "a hook whose program is missing, a directory, a FIFO or not executable is an error at once" {
    local path
    mkfifo -m 0755 "$BATS_TEST_TMPDIR/fifo"
    touch "$BATS_TEST_TMPDIR/plain"
    for path in /no/such/hook /etc "$BATS_TEST_TMPDIR/fifo" "$BATS_TEST_TMPDIR/plain"; do
        config --arg p "$path" '.hooks.createRuntime = [{ path: $p }]'
        run -1 drupe create --bundle "$BUNDLE" "$(container_id)"
        [[ "$output" == *"hooks.createRuntime[0] ($path): execute: "* ]]
        nothing_left
    done
}

# refused HOOK WORD: as a prestart hook; the error names WORD. A poststop hook would tell that something was made.
refused() {
    config "del(.hooks) | .hooks.prestart = [$1]"
    tracing poststop
    run -1 drupe create --bundle "$BUNDLE" "$(container_id)"
    [[ "$output" == *"hooks.prestart[0]"*"$2"* ]]
    nothing_left
}

@test "a hook object that breaks the rules is refused before anything exists" {
    refused '{ path: "bin/true" }' path
    refused '{ args: ["x"] }' path
    refused '{ path: "/bin/true", timeout: 0 }' timeout
    refused '{ path: "/bin/true", timeout: -1 }' timeout
    refused '{ path: "/bin/true", timeout: 1.5 }' timeout
    refused '{ path: "/bin/true", args: "x" }' args
    refused '{ path: "/bin/true", env: [1] }' env
    [ "$(trace)" = "" ]
}

@test "a timeout beyond all clocks is none" {
    # As text: jq would round it.
    hook prestart 'echo ran >>"$T"' '.timeout = 77'
    sed -i 's/: 77$/: 9223372036854775807/' "$BUNDLE/config.json"
    grep -q 9223372036854775807 "$BUNDLE/config.json"
    run_container
    [ "$status" = 0 ]
    [ "$(trace)" = "ran;" ]
}

@test "prestart and createRuntime hooks run in the runtime's namespaces, when the container's namespaces and mounts exist" {
    local kind
    for kind in prestart createRuntime; do
        hook "$kind" 'pid=$('"$JQ"' .pid)
            for n in mnt net uts ipc pid; do [ $(readlink /proc/self/ns/$n) = $(readlink /proc/'$$'/ns/$n) ] || echo moved $n; done >>"$T"
            [ $(readlink /proc/self/ns/net) != $(readlink /proc/$pid/ns/net) ] && echo other net >>"$T"
            nsenter -t $pid -m stat -f -c %T "$PWD/rootfs/proc" >>"$T"'
    done
    run_container
    [ "$status" = 0 ]
    [ "$(trace)" = "other net;proc;other net;proc;" ]
}

@test "createContainer hooks are programs of the host in the container's namespaces, with the mounts below the rootfs's path" {
    rm "$BUNDLE/rootfs/bin/sh"
    hook createContainer 'hostname >>"$T"
        [ $(readlink /proc/self/ns/net) != '"$(readlink /proc/self/ns/net)"' ] && echo other net >>"$T"
        stat -f -c %T rootfs/proc >>"$T"
        [ -c rootfs/dev/null ] && echo devices >>"$T"
        touch rootfs/tmp/from-hook && echo writable >>"$T"'
    config '.hostname = "inside"'
    args /probe stat /tmp/from-hook
    run_container
    [ "$status" = 0 ]
    [ "$(trace)" = "inside;other net;proc;devices;writable;" ]
    [[ "$output" == *"/tmp/from-hook type -"* ]]
}

@test "what prestart and createContainer hooks mount below the rootfs's path in the container's mount namespace is there inside" {
    echo given >"$BATS_TEST_TMPDIR/file"
    touch "$BUNDLE/rootfs/etc/one" "$BUNDLE/rootfs/etc/two"
    hook prestart 'nsenter -t $('"$JQ"' .pid) -m mount --bind '"$BATS_TEST_TMPDIR/file"' "$PWD/rootfs/etc/one"'
    hook createContainer 'mount --bind '"$BATS_TEST_TMPDIR/file"' rootfs/etc/two'
    args /bin/cat /etc/one /etc/two
    run_container
    [ "$status" = 0 ]
    [ "$output" = $'given\ngiven' ]
    [ ! -s "$BUNDLE/rootfs/etc/one" ]
    [ ! -s "$BUNDLE/rootfs/etc/two" ]
}

@test "root.readonly is applied after the createContainer hooks" {
    config '.root.readonly = true'
    hook createContainer 'echo by hook >rootfs/etc/made'
    args /bin/sh -c 'cat /etc/made; echo x >/etc/more'
    run_container
    [ "$status" = 1 ]
    [ "${lines[0]}" = "by hook" ]
    [[ "$output" == *"Read-only file system"* ]]
}

@test "startContainer hooks are programs of the container" {
    rm "$BUNDLE/rootfs/bin/sh"
    config '.hooks.startContainer = [{ path: "/probe", args: ["probe", "host"], env: [] }]'
    run_container
    [ "$status" = 0 ]
    [ "${lines[0]}" = "hostname test" ]
    [ "${lines[-1]}" = started ]
    config '.hooks.startContainer = [{ path: "/no/such/hook" }]'
    run_container
    [ "$status" = 1 ]
    [[ "$output" == *"hooks.startContainer[0] (/no/such/hook): execute: No such file or directory"* ]]
}

# Two programs, a hook and then the process, have printed the same; their process ids aside.
twice_the_same() {
    local seen n
    seen=$(grep -vE '^(pid|ppid|sid|pgid) ' <<<"$output")
    n=$(wc -l <<<"$seen")
    [ $((n % 2)) = 0 ] && [ "$(head -n $((n / 2)) <<<"$seen")" = "$(tail -n $((n / 2)) <<<"$seen")" ]
}

@test "startContainer hooks get no more than the container's process: its image is not trusted" {
    local nnp look='["probe", "ids", ",", "caps", ",", "nnp", ",", "seccomp"]'
    config --argjson look "$look" '.hooks.startContainer = [{ path: "/probe", args: $look }] | .process.args = ["/probe"] + $look[1:]
        | .process.user = { uid: 1000, gid: 1000, additionalGids: [2000], umask: 63 }
        | .process.capabilities = { bounding: ["CAP_CHOWN", "CAP_KILL"], permitted: ["CAP_KILL"], effective: ["CAP_KILL"],
            inheritable: ["CAP_KILL"], ambient: ["CAP_KILL"] }
        | .linux.seccomp = { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["sethostname"], action: "SCMP_ACT_ERRNO" }] }'
    for nnp in true false; do
        config --argjson nnp "$nnp" '.process.noNewPrivileges = $nnp'
        run_container
        [ "$status" = 0 ]
        twice_the_same
        [ "$(grep -c '^uid 1000 1000 1000$' <<<"$output")" = 2 ]
        [ "$(grep -c '^effective 0000000000000020$' <<<"$output")" = 2 ]
    done
}

@test "hooks run for a container in a user namespace too, those inside as its root" {
    config '.linux.namespaces += [{ type: "user" }] | .linux.uidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }]
        | .linux.gidMappings = .linux.uidMappings'
    chown -hR 100000:100000 "$BUNDLE/rootfs"
    # The container's root must get there.
    chmod 0711 "$BATS_RUN_TMPDIR"
    chmod 0666 "$TRACE"
    tracing prestart createRuntime poststart poststop
    hook createContainer 'echo user $(id -u) >>"$T"'
    config '.hooks.startContainer = [{ path: "/probe", args: ["probe", "ids"] }]'
    run_container
    [ "$status" = 0 ]
    [[ "$output" == *"uid 0 0 0"* ]]
    [ "$(trace)" = "prestart creating;createRuntime creating;user 0;poststart running;poststop stopped;" ]
}
