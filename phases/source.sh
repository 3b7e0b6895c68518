# Tell the address that this host reaches another from, if there is one way to tell.
#
# In: ADDRESS. Out: source=.
set -eu
found=$(getent ahosts "$ADDRESS" | awk '{ print $1; exit }')
[ -n "$found" ] || exit 0
PATH=$PATH:/usr/sbin:/sbin ip -o route get "$found" 2>/dev/null | sed -n 's/.* src \([^ ]*\).*/source=\1/p'
