#compdef rel
# zsh completion for rel. In ~/.zshrc, after compinit if that is there: eval "$(rel completion zsh)"
# or as a file _rel in a folder of $fpath.
_rel() {
    local line word
    local -a lines candidates
    lines=("${(@f)$(${~words[1]} __complete -- "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
    if [[ $lines[1] == :files ]]; then
        [[ $PREFIX != --*=* ]] || compset -P '*='
        _files
        return
    fi
    for line in $lines; do
        word=${${line%%$'\t'*}//:/\\:}
        [[ $line != *$'\t'* ]] || word+=:${line#*$'\t'}
        candidates+=("$word")
    done
    (( $#candidates )) && _describe -V rel candidates
}
if [[ ${zsh_eval_context[-1]} == loadautofunc ]]; then
    _rel "$@"
else
    (( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
    compdef _rel rel
fi
