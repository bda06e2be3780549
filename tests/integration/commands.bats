#!/usr/bin/env bats
# shellcheck disable=SC2016 # texts for jq and for the inner shell
# What only looks: check, plan, spec, features, version, help; the command line, and the log.
load helpers

setup() {
    begin_test
    setup_bundle
    args /probe write /ran yes
    ID=$(container_id)
}

fail() {
    echo "$*"
    return 1
}

# ---------------------------------------------------------------------------------------------------------------------- check, plan

@test "check: nothing for a good bundle, status 0" {
    run -0 drupe check "$BUNDLE"
    [ -z "$output" ]
    docker_like
    run -0 drupe check "$BUNDLE"
    [ -z "$output" ]
    cd "$BUNDLE"
    run -0 drupe check
    [ -z "$output" ]
}

@test "check: every problem at once, in the order of the document, status 1" {
    config '.process.noNewPrivileges = "true" | .root.readonly = "yes" | .linux.seccomp = [] | .linux.namespaces[0].type = "pids"
        | .linux.maskedPaths[3] = 7 | .linux.resources.pids.limit = "10" | .process.cwd = "x" | .linux.namespaces[2] = { type: "uts", path: "u" }'
    run -1 --separate-stderr drupe check "$BUNDLE"
    [ -z "$stderr" ]
    [ "${#lines[@]}" = 8 ]
    [ "$(sed 's/^config.json: line [0-9]*: //; s/: .*//' <<<"$output" | sort)" = "$(printf '%s\n' 'linux.maskedPaths[3]' \
        'linux.namespaces[0].type' 'linux.namespaces[2].path' linux.resources.pids.limit linux.seccomp process.cwd process.noNewPrivileges \
        root.readonly | sort)" ]
    [ "$(grep -o 'line [0-9]*' <<<"$output")" = "$(grep -o 'line [0-9]*' <<<"$output" | sort -k 2 -n)" ]
}

@test "check: a member that nobody knows is none of its business, one that may be misspelt is" {
    config '.linux.vendorThing = 1 | .somethingElse = {}'
    run -0 drupe check "$BUNDLE"
    [ -z "$output" ]
    config '.linux.maskedpaths = [] | .process.noNewPriviliges = true'
    run -1 --separate-stderr drupe check "$BUNDLE"
    [ -z "$stderr" ]
    [ "${#lines[@]}" = 2 ]
    [[ "$output" == *'config.json: line '*': linux.maskedpaths: an unknown member is ignored; is "maskedPaths" meant?'* ]]
    [[ "$output" == *'config.json: line '*': process.noNewPriviliges: an unknown member is ignored; is "noNewPrivileges" meant?'* ]]
    config '.process.cwd = "x" | .hostname = "h"'
    run -1 drupe check "$BUNDLE"
    [ "${#lines[@]}" = 3 ]
    config 'del(.linux.maskedpaths, .process.noNewPriviliges) | .process.cwd = "/"'
    run -0 drupe check "$BUNDLE"
}

@test "check: the line of a problem is the line of the file" {
    config '.process.noNewPrivileges = "true"'
    run -1 drupe check "$BUNDLE"
    [[ "$output" == "config.json: line $(grep -n noNewPrivileges "$BUNDLE/config.json" | cut -d: -f1): process.noNewPrivileges: "* ]]
}

@test "check: a missing rootfs, or one that is a file" {
    rm -rf "$BUNDLE/rootfs"
    run -1 drupe check "$BUNDLE"
    [ "$output" = 'config.json: root.path: rootfs: No such file or directory' ]
    touch "$BUNDLE/rootfs"
    run -1 drupe check "$BUNDLE"
    [ "$output" = 'config.json: root.path: rootfs: not a directory' ]
}

@test "check: what is in order by itself and not possible" {
    config '.linux.namespaces |= map(select(.type != "uts"))'
    run -1 drupe check "$BUNDLE"
    [ "$output" = 'config.json: hostname: needs a uts namespace; without one it would rename the host' ]
}

@test "check: a bundle or configuration that cannot be read is an error" {
    run -1 --separate-stderr drupe check "$BUNDLE/none"
    [ "$stderr" = "drupe: bundle $BUNDLE/none: No such file or directory" ]
    run -1 --separate-stderr drupe check --config none.json "$BUNDLE"
    [[ "$stderr" == 'drupe: '*'none.json: No such file or directory' ]]
    run -1 --separate-stderr drupe check "$BUNDLE/config.json"
    [[ "$stderr" == 'drupe: bundle '*': Not a directory' ]]
    run -1 bash -c '"$1" check "$2" >/dev/full' bash "$RUNTIME" "$BUNDLE/none"
}

@test "check: a list that cannot be written is an error" {
    config '.root.readonly = 5'
    run -1 --separate-stderr bash -c '"$1" check "$2" >/dev/full' bash "$RUNTIME" "$BUNDLE"
    [ "$stderr" = 'drupe: standard output: write: No space left on device' ]
}

@test "check: the good samples of the specification are good, the bad ones are not" {
    local spec=${DRUPE_SPEC_DIR:-$TOP/../shared/spec} sample n=0
    [ -d "$spec/test/config" ] || skip "no $spec/test/config; DRUPE_SPEC_DIR names the directory of the specification's schema"
    for sample in "$spec"/test/config/good/*.json; do
        # Their rootfs is not here, other platforms have no Linux section, and their hosts are other hosts: no fault of the document.
        run drupe check --config "$sample" "$BUNDLE"
        [[ "$output" != *": line "* ]] || fail "$output"
        [ "${#lines[@]}" -le 1 ]
        n=$((n + 1))
    done
    for sample in "$spec"/test/config/bad/*.json; do
        # Sections of other platforms are unknown members to us.
        [[ "$sample" != */freebsd-* ]] || continue
        run -1 drupe check --config "$sample" "$BUNDLE"
        [[ "$output" == *": line "* ]] || fail "$sample: $output"
        n=$((n + 1))
    done
    [ "$n" -ge 8 ]
}

@test "plan: prints what would be done and does nothing" {
    docker_like
    find "$BUNDLE" -newermt 2000-01-01 -printf '%p %T@ %m\n' | sort >"$BATS_TEST_TMPDIR/tree"
    run -0 --separate-stderr drupe plan "$BUNDLE"
    [ -z "$stderr" ]
    [ "${#lines[@]}" -gt 40 ]
    [[ "$output" == *'/proc/kcore'* && "$output" == *'no_new_privs'* || "$output" == *seccomp* ]]
    find "$BUNDLE" -newermt 2000-01-01 -printf '%p %T@ %m\n' | sort | cmp - "$BATS_TEST_TMPDIR/tree"
    [ -z "$(ls -A "$ROOT")" ]
}

@test "plan: the same twice, and what a change of the configuration changes" {
    drupe plan "$BUNDLE" >"$BATS_TEST_TMPDIR/one"
    drupe plan "$BUNDLE" | cmp - "$BATS_TEST_TMPDIR/one"
    config '.linux.maskedPaths += ["/proc/interrupts"]'
    drupe plan "$BUNDLE" >"$BATS_TEST_TMPDIR/two"
    run diff "$BATS_TEST_TMPDIR/one" "$BATS_TEST_TMPDIR/two"
    [ "$(grep -c '^[<>]' <<<"$output")" = 1 ]
    [[ "$output" == *'> '*/proc/interrupts* ]]
}

@test "run: without root, and without a user namespace, it is said what is missing" {
    local user=(env -u XDG_RUNTIME_DIR setpriv --reuid 65534 --regid 65534 --clear-groups)
    "${user[@]}" test -x "$RUNTIME" || skip "$RUNTIME is in a private directory"
    chmod 0711 "$BATS_RUN_TMPDIR" "$BATS_TEST_TMPDIR"
    install -d -o 65534 "$BATS_TEST_TMPDIR/state"
    run -1 "${user[@]}" "$RUNTIME" --root "$BATS_TEST_TMPDIR/state" --cgroup-manager disabled run --bundle "$BUNDLE" "$(container_id)"
    [ "${lines[-1]}" = "drupe: root.path: $BUNDLE/rootfs: mounting takes CAP_SYS_ADMIN: be root, or give the container a user namespace (drupe spec --rootless)" ]
    [ -z "$(ls -A "$BATS_TEST_TMPDIR/state")" ]
}

@test "plan: a bad configuration is an error, one line, as with run" {
    config '.process.noNewPrivileges = "true"'
    run -1 --separate-stderr drupe plan "$BUNDLE"
    [ -z "$output" ]
    [[ "$stderr" =~ ^"drupe: $BUNDLE/config.json: line "[0-9]+": process.noNewPrivileges: expected boolean, got string"$ ]]
}

@test "plan and check: without a bundle's name the current directory's; without root" {
    docker_like
    chmod 0755 "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR" "$BUNDLE"
    cd "$BUNDLE"
    run -0 drupe plan
    [ "${#lines[@]}" -gt 40 ]
    setpriv --reuid 65534 --regid 65534 --clear-groups test -x "$RUNTIME" || skip "$RUNTIME is in a private directory"
    run -0 --separate-stderr env -u XDG_RUNTIME_DIR setpriv --reuid 65534 --regid 65534 --clear-groups "$RUNTIME" plan
    [ "${#lines[@]}" -gt 40 ]
    run -0 --separate-stderr env -u XDG_RUNTIME_DIR setpriv --reuid 65534 --regid 65534 --clear-groups "$RUNTIME" check
    [ -z "$output" ]
}

# --------------------------------------------------------------------------------------------------------- spec, features, version

@test "spec: what it writes passes check, and runs" {
    rm "$BUNDLE/config.json"
    cd "$BUNDLE"
    run -0 drupe spec
    [ -z "$output" ]
    [ "$(stat -c '%a %u' config.json)" = '644 0' ]
    run -0 drupe check
    [ -z "$output" ]
    jq -e '.ociVersion == "1.3.0" and .process.noNewPrivileges and .process.terminal and .root.readonly and .process.args == ["sh"]
        and (.linux.maskedPaths | length) == 10 and (.linux.readonlyPaths | length) == 5' config.json
    config '.process.terminal = false | .process.args = ["/probe", "nnp", ",", "caps"]'
    run -0 drupe run "$ID"
    [ "${lines[0]}" = 'nnp 1' ]
    [[ "$output" == *'effective 0000000020000420'* ]]
}

@test "spec: an existing file is left alone, whatever it is" {
    cd "$BUNDLE"
    cp config.json was.json
    run -1 --separate-stderr drupe spec
    [ "$stderr" = 'drupe: config.json exists: remove it first' ]
    cmp config.json was.json
    ln -s /nonexistent/x link.json
    run -1 drupe spec --config link.json
    [ ! -e /nonexistent ]
    run -0 drupe spec --bundle "$BUNDLE" -f other.json
    run -0 drupe check -f other.json "$BUNDLE"
}

@test "spec: --rootless maps ids and has no network of its own" {
    run -0 drupe spec --rootless --bundle "$BUNDLE" --config rootless.json
    jq -e '(.linux.namespaces | map(.type) | index("user") and (index("network") | not)) and .linux.uidMappings[0].size == 1
        and (.linux | has("resources") | not) and ([.mounts[] | .options[]?] | any(startswith("gid=")) | not)' "$BUNDLE/rootless.json"
    run -0 drupe check -f rootless.json "$BUNDLE"
}

@test "features: the members that callers look for, and nothing on stderr" {
    run -0 --separate-stderr drupe features
    [ -z "$stderr" ]
    jq -e '.ociVersionMin == "1.0.0" and .ociVersionMax == "1.3.0" and (.hooks | length) == 6
        and (.mountOptions | index("rro") and index("idmap") and index("ridmap") and index("tmpcopyup") and index("rbind"))
        and (.annotations | type) == "object" and (.potentiallyUnsafeConfigAnnotations | type) == "array"' <<<"$output"
    jq -e '.linux | (.namespaces | sort) == ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"]
        and (.capabilities | length) >= 41 and (.capabilities | index("CAP_CHECKPOINT_RESTORE"))
        and (.cgroup | .v1 and .v2 and (.systemd | type) == "boolean" and (.systemdUser | type) == "boolean" and (.rdma | type) == "boolean")
        and (.seccomp | .enabled and (.actions | length) == 9 and (.operators | length) == 7 and (.archs | index("SCMP_ARCH_X86_64"))
            and (.knownFlags | length) == 4 and (.supportedFlags | length) == 4)
        and .apparmor.enabled and .selinux.enabled and (.intelRdt.enabled | type) == "boolean"
        and (.memoryPolicy.modes | length) == 7 and (.memoryPolicy.flags | length) == 3
        and .mountExtensions.idmap.enabled and .netDevices.enabled' <<<"$output"
}

@test "features: each mount option it names is understood" {
    local word
    for word in $(drupe features | jq -r '.mountOptions[]'); do
        case $word in
        bind | rbind | remount | tmpcopyup | idmap | ridmap | copy-symlink | src-nofollow | dest-nofollow) continue ;;
        esac
        config --arg w "$word" '.mounts += [{ destination: "/mnt", type: "none", source: "/usr", options: ["rbind", $w] }]'
    done
    run -0 drupe plan "$BUNDLE"
    config '.mounts[-1].options += ["nonsense"]'
    run -1 drupe plan "$BUNDLE"
}

@test "version: three lines, of which only the first has the word" {
    local flag
    for flag in --version -v -V version; do
        run -0 --separate-stderr drupe "$flag"
        [ -z "$stderr" ]
        [[ "${lines[0]}" =~ ^drupe\ version\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
        [[ "${lines[1]}" == 'commit: '?* ]]
        [ "${lines[2]}" = 'spec: 1.3.0' ]
        [ "$(grep -c version <<<"$output")" = 1 ]
    done
}

# ------------------------------------------------------------------------------------------------------------------ the command line

@test "help: every command explains itself on standard output, status 0" {
    local command
    run -0 --separate-stderr drupe --help
    [ -z "$stderr" ]
    [ "${#lines[@]}" -le 24 ]
    [ "$(wc -L <<<"$output")" -le 80 ]
    for command in create start run state wait kill delete exec list ps pause resume update mounts events checkpoint restore spec check plan features; do
        [[ "$output" == *" $command "* ]]
    done
    for command in create start run state wait kill delete exec list ps pause resume update mounts events checkpoint restore spec check plan features \
        version help; do
        run -0 --separate-stderr drupe "$command" --help
        [ -z "$stderr" ]
        [[ "${lines[0]}" == "Usage: drupe $command"* ]]
        [ "${#lines[@]}" -le 24 ]
        [ "$(wc -L <<<"$output")" -le 80 ]
        run -0 drupe "$command" -h
        run -0 drupe help "$command"
    done
}

@test "usage: an unknown command, an unknown flag, too many or too few arguments" {
    local expected
    while read -r -a words; do
        expected=${words[*]#* }
        IFS='|' read -r line expected <<<"${words[*]}"
        # shellcheck disable=SC2086 # a list of words
        run --separate-stderr drupe $line
        [ "$status" = 1 ]
        [ -z "$output" ]
        [[ "$stderr" == "drupe: $expected"* ]] || fail "$line: $stderr"
        [ "${#stderr_lines[@]}" = 1 ]
    done <<'END'
|a command is missing
frobnicate|unknown command "frobnicate" (see drupe --help)
--frobnicate state x|unknown flag: --frobnicate
state --frobnicate x|state: unknown flag: --frobnicate
state|usage: drupe state
state a b|usage: drupe state
check a b|usage: drupe check
features x|usage: drupe features
run --bundle|run: flag needs an argument: --bundle
--log-format xml state x|--log-format: expected one of text, json, got "xml"
help frobnicate|unknown command "frobnicate" (see drupe --help)
END
}

@test "log: JSON is exactly one object on an error, and the same text on stderr" {
    local log=$BATS_TEST_TMPDIR/log.json
    config '.process.noNewPrivileges = "true" | .hostname = "a\u001b[31m"'
    run -1 --separate-stderr drupe --log "$log" --log-format json run --bundle "$BUNDLE" "$ID"
    [ "$(jq -s 'length' "$log")" = 1 ]
    [ "$(jq -r .level "$log")" = error ]
    [ "drupe: $(jq -r .msg "$log")" = "$stderr" ]
    [[ "$(jq -r .time "$log")" =~ ^20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9] ]]
    [ "$(wc -l <"$log")" = 1 ]
    # appended to, and a warning is not an error's object
    config '.process.noNewPrivileges = true | .process.capabilities.bounding += ["CAP_NONE"] | .hostname = "h"'
    run -0 --separate-stderr drupe --log "$log" --log-format json run --bundle "$BUNDLE" "$ID"
    [ "$(wc -l <"$log")" = 1 ]
    run -0 --separate-stderr drupe --log "$log" --log-format json --log-level warning run --bundle "$BUNDLE" "$ID"
    [ "$(tail -n 1 "$log" | jq -r .level)" = warning ]
}

@test "log: JSON without a file goes to stderr, alone" {
    run -1 --separate-stderr drupe --log-format json state "$ID"
    [ "$(jq -r .level <<<"$stderr")" = error ]
    [ "${#stderr_lines[@]}" = 1 ]
}

@test "log: a text log has time, level and message, mode 0644" {
    local log=$BATS_TEST_TMPDIR/log
    umask 0
    run -1 --separate-stderr drupe --log "$log" state "$ID"
    [[ "$(cat "$log")" == 20*Z\ error:\ "${stderr#drupe: }" ]]
    [ "$(stat -c %a "$log")" = 644 ]
}

@test "log: a FIFO, a directory, a link, a device are refused at once; nothing runs" {
    local log=$BATS_TEST_TMPDIR/log
    mkfifo "$log"
    run -1 --separate-stderr drupe --log "$log" run --bundle "$BUNDLE" "$ID"
    [ "$stderr" = "drupe: --log $log: not a regular file" ]
    # with a reader, too
    exec 9<>"$log"
    run -1 --separate-stderr drupe --log "$log" run --bundle "$BUNDLE" "$ID"
    exec 9>&-
    [ "$stderr" = "drupe: --log $log: not a regular file" ]
    rm "$log"
    mkdir "$log"
    run -1 --separate-stderr drupe --log "$log" state "$ID"
    [[ "$stderr" == "drupe: --log $log: "* ]]
    ln -s "$BATS_TEST_TMPDIR/elsewhere" "$log.link"
    run -1 --separate-stderr drupe --log "$log.link" state "$ID"
    [ ! -e "$BATS_TEST_TMPDIR/elsewhere" ]
    run -1 --separate-stderr drupe --log /dev/full state "$ID"
    [[ "$stderr" == "drupe: --log /dev/full: not a regular file" ]]
    run -1 --separate-stderr drupe --log "$BATS_TEST_TMPDIR/none/log" state "$ID"
    [[ "$stderr" == "drupe: --log "*": No such file or directory" ]]
    [ ! -e "$BUNDLE/rootfs/ran" ]
}

# A datagram socket, for one record, in a /run and a /dev that only this process and its children see.
daemon_says() {
    unshare --mount --propagation private python3 - "$@" 3>&- <<'END'
import ctypes, os, socket, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
path = sys.argv[1]
null = os.open("/dev/null", os.O_RDWR)
place = "/run" if path.startswith("/run") else "/dev"
assert libc.mount(b"tmpfs", place.encode(), b"tmpfs", 0, None) == 0
os.makedirs(os.path.dirname(path), exist_ok=True)
end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
end.bind(path)
end.settimeout(60)
subprocess.run(sys.argv[2:], stdin=null, stdout=null, stderr=null)
sys.stdout.write(end.recv(4096).decode() + "\n")
END
}

@test "log: the journal gets fields, syslog a line; without their sockets nothing is done" {
    run -0 daemon_says /run/systemd/journal/socket "$RUNTIME" --root "$ROOT" --log=journald:web --log-level debug state "$ID"
    [ "${lines[0]}" = PRIORITY=3 ]
    [ "${lines[1]}" = SYSLOG_IDENTIFIER=drupe ]
    [[ "${lines[2]}" == SYSLOG_PID=[1-9]* ]]
    [ "${lines[3]}" = ID=web ]
    [ "${lines[4]}" = "MESSAGE=container \"$ID\" does not exist" ]
    run -0 daemon_says /dev/log "$RUNTIME" --root "$ROOT" --log=syslog:web state "$ID"
    [[ "$output" == '<27>drupe['[1-9]*"]: web: container \"$ID\" does not exist" ]]
    if [ ! -S /run/systemd/journal/socket ]; then
        run -1 --separate-stderr drupe --log journald:web run --bundle "$BUNDLE" "$ID"
        [ "$stderr" = 'drupe: --log journald:web: /run/systemd/journal/socket: No such file or directory' ]
        [ ! -e "$BUNDLE/rootfs/ran" ]
    fi
}

@test "log: file: in front of a name, and the levels" {
    local log=$BATS_TEST_TMPDIR/log level
    run -1 drupe --log "file:$log" --log-level error state "$ID"
    [ "$(wc -l <"$log")" = 1 ]
    for level in error warning warn info debug trace; do
        run -1 --separate-stderr drupe --log "$log" --log-level "$level" state "$ID"
        [ "${#stderr_lines[@]}" = 1 ]
    done
}

@test "checkpoint and restore: what callers ask before they try, and one line when they do" {
    run -0 --separate-stderr drupe checkpoint --help
    [ -z "$stderr" ]
    run -1 drupe restore --lsm-mount-context
    [[ "$output" == *'flag needs an argument'* ]]
    run -1 --separate-stderr drupe checkpoint --image-path "$BATS_TEST_TMPDIR" "$ID"
    [ -z "$output" ]
    [ "$stderr" = "drupe: checkpoint of container \"$ID\": this build has no checkpoint and restore yet" ]
    run -1 drupe restore --image-path "$BATS_TEST_TMPDIR" --bundle "$BUNDLE" -no-subreaper --detach "$ID"
    [ "$output" = "drupe: restore of container \"$ID\": this build has no checkpoint and restore yet" ]
    [ -z "$(ls -A "$ROOT")" ]
}

# on_terminal COLUMNS WORD...: what a command prints on a terminal of that width.
on_terminal() {
    python3 - "$@" 3>&- <<'END'
import fcntl, os, pty, struct, sys, termios
master, slave = pty.openpty()
fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, int(sys.argv[1]), 0, 0))
pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, slave, 1), (os.POSIX_SPAWN_DUP2, slave, 2)])
os.close(slave)
try:
    while text := os.read(master, 65536):
        sys.stdout.write(text.decode().replace("\r\n", "\n"))
except OSError:
    pass
os.waitpid(pid, 0)
END
}

@test "list and ps: colours and the width of the screen on a terminal, and only there" {
    args /bin/sh -c 'exec /probe trap' "$(printf 'x%.0s' {1..100})"
    detached run --detach --bundle "$BUNDLE" "$ID"
    local plain colored narrow
    plain=$(drupe list)
    [[ "$plain" != *$'\033'* ]]
    [[ "$plain" == *"$BUNDLE"* ]]
    export TERM=xterm
    colored=$(on_terminal 100 "$RUNTIME" --root "$ROOT" list)
    [[ "$colored" == $'\033[1mID '*$'OWNER\033[0m\n\033[32m'"$ID"*$'root\033[0m' ]]
    [[ "$colored" == *...* && "$colored" != *"$BUNDLE"* ]]
    [ "$(printf '%s\n' "$colored" | sed $'s/\033\\[[0-9]*m//g' | wc -L)" -le 100 ]
    [ "$(on_terminal 500 "$RUNTIME" --root "$ROOT" list | sed $'s/\033\\[[0-9]*m//g')" = "$plain" ]
    [[ "$(NO_COLOR=1 on_terminal 100 "$RUNTIME" --root "$ROOT" list)" != *$'\033'* ]]
    [[ "$(TERM=dumb on_terminal 100 "$RUNTIME" --root "$ROOT" list)" != *$'\033'* ]]
    narrow=$(on_terminal 40 "$RUNTIME" --root "$ROOT" ps "$ID")
    [[ "$narrow" != 'ps: '* ]] || { drupe delete --force "$ID" && skip "ps(1) does not work here: ${narrow%%$'\n'*}"; }
    [ "$(wc -L <<<"$narrow")" = 40 ]
    [ "$(drupe ps "$ID" | wc -L)" -gt 40 ]
    [[ "$(on_terminal 40 "$RUNTIME" --root "$ROOT" list --format json | jq -r '.[].id')" = "$ID" ]]
    drupe delete --force "$ID"
}

@test "run: a directory instead of a name is a bundle, and the name is made up" {
    args /bin/sh -c 'echo ran; exit 3'
    run -3 drupe run "$BUNDLE/"
    [ "$output" = ran ]
    cd "$BUNDLE"
    run -3 drupe run ./
    mv "$BUNDLE" "$BUNDLE two: three"
    run -3 drupe run "$BUNDLE two: three"
    mv "$BUNDLE two: three" "$BUNDLE"
    args /probe trap
    detached run --detach "$BUNDLE/"
    run -0 drupe list --quiet
    [[ "$output" =~ ^bundle-[0-9]+$ ]]
    run -0 drupe delete --force "$output"
}
