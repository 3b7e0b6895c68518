#!/bin/sh
# Show the main job on throwaway hosts: version 1 goes live, then version 2, the
# audit and the state are shown, and production goes back to version 1.
#
#   demo.sh BIN DIR    the folder of rel and rel-lab, and one for the lab
set -eu
bin=$(cd "$1" && pwd)
dir=$2

step() { printf '\n\033[1m$ %s\033[0m\n' "$*"; }
show() {
    step "$@"
    "$@"
}
login() {
    step "curl https://os.choir.chat/login"
    "$bin/rel-lab" --dir "$dir" ssh choiros-prod \
        'curl -sS --max-time 10 --cacert /var/lib/caddy/.local/share/caddy/pki/authorities/local/root.crt --resolve os.choir.chat:443:127.0.0.1 https://os.choir.chat/login'
}

PATH=$bin:$PATH
"$bin/rel-lab" --dir "$dir" down >/dev/null 2>&1 || true
# The lab goes however this ends.
trap '"$bin/rel-lab" --dir "$dir" down' EXIT
trap 'exit 130' HUP INT TERM
show rel-lab --dir "$dir" up
eval "$("$bin/rel-lab" --dir "$dir" env)"
# On a terminal a start asks first.
export REL_YES=1

show rel start -m "the first release"
login
show rel-lab --dir "$dir" bump
show rel plan
show rel start -m "version 2"
login
show rel log
show rel status
show rel rollback -m "version 2 was too new"
login
show rel log
show rel status
printf '\nThat was it; the hosts go now.\n'
