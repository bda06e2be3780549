#!/usr/bin/env bats
# shellcheck disable=SC2016 # texts for the inner shell
# The callers of runtimes, played by tests/callers/mock: the command lines, the surroundings and the judgement of each.
# A test here is named after the step of the driver that it runs.
load helpers

# step: the one that the test is named after, "CALLER: FEATURE"
step() {
    local code=0 text
    setup_bundle
    export RUNTIME ROOT BUNDLE TOKEN BATS_TEST_TMPDIR
    text=$("$LIB/../callers/mock/drive" "${BATS_TEST_DESCRIPTION%%: *}" "${BATS_TEST_DESCRIPTION#*: }" 3>&-) || code=$?
    [ "$code" != 77 ] || skip "$text"
    echo "$text"
    return "$code"
}

@test "the driver's steps are the tests of this file" {
    run -0 --separate-stderr "$LIB/../callers/mock/drive" --list
    diff <(sed -n 's/^@test "\(.*\)" { step; }$/\1/p' "$BATS_TEST_FILENAME" | sort) <(sort <<<"$output")
}

# A runtime that is right but for one thing: the body of a shell script; `real` is the runtime itself.
mutant() {
    {
        printf '#!/bin/bash\nreal() { %q "$@"; }\npid_file() { while [ $# -gt 1 ] && [ "$1" != --pid-file ]; do shift; done; echo "${2-/}"; }\n' "$RUNTIME"
        cat
    } >"$BATS_TEST_TMPDIR/mutant"
    chmod 755 "$BATS_TEST_TMPDIR/mutant"
}

# caught TEXT CALLER FEATURE: the driver is not content with the mutant, and says why
caught() {
    local text=$1
    shift
    RUNTIME=$BATS_TEST_TMPDIR/mutant run -1 "$LIB/../callers/mock/drive" "$@" 3>&-
    [[ "$output" == *"$text"* ]]
    rm -rf "$BATS_TEST_TMPDIR"/bundle-*
}

@test "a runtime that breaks one rule of its callers is caught" {
    setup_bundle
    export RUNTIME ROOT BUNDLE TOKEN BATS_TEST_TMPDIR
    unset COMPAT_RESULTS

    mutant <<<'real "$@" || exit; [[ " $* " != *" create "* ]] || echo >>"$(pid_file "$@")"'
    caught 'Atoi fails' containerd-shim 'life cycle'
    mutant <<<'[[ " $* " != *" exec "* ]] || echo 1 >"$(pid_file "$@")"; real "$@"'
    caught 'but pid file exists' conmon 'errors: exec'
    mutant <<<'echo "warning: something" >&2; real "$@"'
    caught 'Expecting value' cri-o features
    mutant <<<'real "$@"; code=$?; log=$(dirname "$(pid_file "$@")" 2>/dev/null)/oci-log; [ ! -s "$log" ] || { cat "$log" "$log" >"$log.2"; mv "$log.2" "$log"; }; exit $code'
    caught 'not exactly one JSON object' podman "errors: programs that can't be executed"
    mutant <<<'[[ " $* " != *" state "* ]] || { real "$@" | sed "s/\"running\"/\"busy\"/"; exit; }; real "$@"'
    caught "state after start: got 'busy'" buildah 'life cycle'
    mutant <<<'real --version; echo "library version 1"'
    caught 'lines with the word version' moby version
    mutant <<<'real "$@"; code=$?; [[ " $* " != *" kill "* ]] || exit 0; exit $code'
    caught 'kill: must fail' cri-o 'errors: a container that has ended'
}

@test "containerd-shim: life cycle" { step; }
@test "containerd-shim: exit status" { step; }
@test "containerd-shim: exec" { step; }
@test "containerd-shim: terminal" { step; }
@test "containerd-shim: exec with a terminal" { step; }
@test "containerd-shim: a container that was never started" { step; }
@test "containerd-shim: no pivot, no new keyring" { step; }
@test "containerd-shim: pause and resume" { step; }
@test "containerd-shim: ps" { step; }
@test "containerd-shim: ps, with several options in one string" { step; }
@test "containerd-shim: stdin, stdout and stderr by pipes, of a user who may open them" { step; }
@test "containerd-shim: several containers at once" { step; }
@test "containerd-shim: --debug: the last error of the log is still the error" { step; }
@test "containerd-shim: kill --all" { step; }
@test "containerd-shim: update" { step; }
@test "containerd-shim: errors: programs that can't be executed" { step; }
@test "containerd-shim: errors: a container that is not there" { step; }
@test "containerd-shim: errors: a container that has ended" { step; }
@test "containerd-shim: errors: states that don't fit" { step; }
@test "containerd-shim: errors: a configuration that is not valid" { step; }
@test "containerd-shim: cleanup: delete --force" { step; }
@test "containerd-shim: features" { step; }
@test "containerd-shim: version" { step; }
@test "containerd-shim: life cycle in odd surroundings" { step; }
@test "buildkit: life cycle" { step; }
@test "buildkit: exit status is the container's" { step; }
@test "buildkit: no pivot" { step; }
@test "buildkit: exec in the foreground" { step; }
@test "buildkit: terminal, resized by SIGWINCH to the runtime" { step; }
@test "buildkit: exec with a terminal, resized by SIGWINCH to the runtime" { step; }
@test "buildkit: the caller dies" { step; }
@test "buildkit: errors: programs that can't be executed" { step; }
@test "buildkit: errors: a container that is not there" { step; }
@test "buildkit: life cycle in odd surroundings" { step; }
@test "conmon: life cycle" { step; }
@test "conmon: exit status" { step; }
@test "conmon: exec" { step; }
@test "conmon: terminal" { step; }
@test "conmon: exec with a terminal" { step; }
@test "conmon: a console socket with a long path" { step; }
@test "conmon: no pivot, no new keyring" { step; }
@test "conmon: preserved descriptors" { step; }
@test "conmon: socket activation" { step; }
@test "conmon: errors: create" { step; }
@test "conmon: errors: a terminal without its socket, and a socket without a terminal" { step; }
@test "conmon: errors: exec" { step; }
@test "conmon: life cycle in odd surroundings" { step; }
@test "podman: life cycle" { step; }
@test "podman: exit status" { step; }
@test "podman: kill --all" { step; }
@test "podman: pause and resume" { step; }
@test "podman: update" { step; }
@test "podman: cgroups=disabled" { step; }
@test "podman: log: nothing in it when nothing is wrong" { step; }
@test "podman: errors: programs that can't be executed" { step; }
@test "podman: errors: a profile that AppArmor does not know" { step; }
@test "podman: errors: a container that is not there" { step; }
@test "podman: errors: a container that has ended" { step; }
@test "podman: version" { step; }
@test "podman: life cycle in odd surroundings" { step; }
@test "cri-o: life cycle" { step; }
@test "cri-o: exit status" { step; }
@test "cri-o: signals by name and number, --all by -a" { step; }
@test "cri-o: kill -a of a container that has ended" { step; }
@test "cri-o: exec in the foreground" { step; }
@test "cri-o: pause and resume" { step; }
@test "cri-o: update" { step; }
@test "cri-o: features" { step; }
@test "cri-o: errors: a container that is not there" { step; }
@test "cri-o: errors: a container that has ended" { step; }
@test "cri-o: life cycle in odd surroundings" { step; }
@test "conmon-rs: life cycle" { step; }
@test "conmon-rs: exit status" { step; }
@test "conmon-rs: exec of plain words" { step; }
@test "conmon-rs: terminal" { step; }
@test "conmon-rs: exec with a terminal" { step; }
@test "conmon-rs: errors: exec of a program that is not there" { step; }
@test "conmon-rs: life cycle in odd surroundings" { step; }
@test "buildah: life cycle" { step; }
@test "buildah: exit status" { step; }
@test "buildah: run to the end" { step; }
@test "buildah: terminal" { step; }
@test "buildah: interrupted" { step; }
@test "buildah: errors: create" { step; }
@test "buildah: life cycle in odd surroundings" { step; }
@test "moby: version" { step; }
@test "moby: features" { step; }
