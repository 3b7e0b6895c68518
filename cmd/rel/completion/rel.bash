# bash completion for rel. In ~/.bashrc: eval "$(rel completion bash)"
# It is made for bash 3.2, which is macOS's, and newer.
_rel() {
    local word line glued='' i
    local -a words
    words=()
    # bash cuts words at = and : too.
    for ((i = 1; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case $word in
        [=:]*) glued=1 ;;
        *) [ -z "$glued" ] || glued=2 ;;
        esac
        if [ -n "$glued" ] && [ ${#words[@]} -gt 0 ]; then
            words[${#words[@]} - 1]+=$word
        else
            words[${#words[@]}]=$word
        fi
        [ "$glued" != 2 ] || glued=''
    done
    # What it puts in place is only what follows the last = or :.
    local current=${COMP_WORDS[COMP_CWORD]} last=${words[${#words[@]} - 1]}
    case $current in [=:]*) current='' ;; esac
    local kept=${last%"$current"}
    COMPREPLY=()
    while IFS= read -r line; do
        if [ "$line" = :files ]; then
            while IFS= read -r line; do
                COMPREPLY[${#COMPREPLY[@]}]=$line
            done < <(compgen -f -- "$current")
            compopt -o filenames 2>/dev/null
            return
        fi
        line=${line%%$'\t'*}
        COMPREPLY[${#COMPREPLY[@]}]=${line#"$kept"}
    done < <("${1/#\~/$HOME}" __complete -- "${words[@]}" 2>/dev/null)
}
complete -F _rel rel
