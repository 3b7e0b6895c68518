# rel: the commands of its developers. `make demo` and `make test` do their own
# set-up on a Debian machine as root; elsewhere they say what is missing.

GO      ?= go
BIN     := bin
LAB     ?= /var/lib/rel-demo
# What the lab's hosts are made of, and what checks their scripts.
PACKAGES := nix-bin openssh-server openssh-client systemd systemd-container dbus iproute2 util-linux git caddy curl zstd \
            sudo opendoas zsh fish tcsh busybox mksh ksh93u+m shellcheck rsync groff-base
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

# The scripts of phases/ that are not sent as they are, and how they are put
# together (phases/job.go and those beside it).
HEAD      := target.sh
TIMERS    := $(HEAD)+timers.sh
ASSEMBLED := job.sh+$(TIMERS)+units.sh+links.sh+apply.sh \
             $(foreach s,confirm keep extend,$(TIMERS)+$(s).sh) \
             $(foreach s,take beat unlock prune.sh+leave,$(HEAD)+hold.sh+$(s).sh) \
             $(foreach s,pin sync checkout,repo.sh+$(s).sh) \
             outputs.sh+infos.sh+build.sh outputs.sh+infos.sh+watch.sh outputs.sh+infos.sh+evaluate.sh infos.sh+known.sh $(foreach s,send bundle,infos.sh+weave.sh+$(s).sh) \
             infos.sh+weave.sh+login.sh+push.sh infos.sh+weave.sh+login.sh+sparse.sh+nixcopy.sh sparse.sh+fill.sh $(HEAD)+sparse.sh+realise.sh \
             $(foreach s,admit dismiss receive,$(HEAD)+keys.sh+$(s).sh) \
             $(foreach s,start look releases anchors adopt journal doctor-traces compare,$(HEAD)+$(s).sh) \
             $(HEAD)+keys.sh+withdraw.sh+unpack.sh
PARTS     := repo|pin|sync|checkout|job|target|hold|take|beat|leave|unlock|timers|units|links|apply|confirm|keep|extend|start|look|receive|releases|anchors|adopt|journal|prune|doctor-traces|outputs|infos|build|watch|evaluate|compare|known|weave|send|bundle|login|push|nixcopy|unpack|realise|sparse|fill|keys|admit|dismiss|withdraw

.PHONY: build demo test test-long bench lint cross man dist dist-check deps clean

# Checks speak HTTP/1.1, which every server does: net/http's HTTP/2 is 400 kB.
TAGS := nethttpomithttp2
# Inlining takes a megabyte, and what is not a cipher or Go's runtime waits for hosts.
HOT      := runtime internal crypto/internal golang.org/x/crypto vendor/golang.org/x/crypto
SMALL    := -gcflags=all=-l $(foreach p,$(HOT),-gcflags=$(p)/...=)

build:
	CGO_ENABLED=0 $(GO) build -trimpath -tags $(TAGS) $(SMALL) -o $(BIN)/ ./cmd/rel ./cmd/rel-lab

demo: deps build
	@sh cmd/rel-lab/demo.sh $(BIN) $(LAB)

# Everything, with the race detector. Without root, or off Linux, the tests that
# need the lab are skipped and say so; with CI=true nothing is skipped.
test: deps
	$(GO) vet ./...
	@$(GO) test -race -count=1 -parallel 5 -timeout 45m -v ./... > test.log 2>&1; status=$$?; \
	    grep -E '^(ok|FAIL|panic:|\?|--- FAIL|--- SKIP)|^ +--- (FAIL|SKIP)' test.log; \
	    grep -B1 -E '^ *--- SKIP' test.log | sed -n 's/^ *[a-z_]*_test.go:[0-9]*: /skipped: /p' | sort | uniq -c; \
	    if [ -n "$(CI)" ] && grep -qE '^ *--- SKIP' test.log; then echo "CI skips no test"; status=1; fi; \
	    [ $$status -eq 0 ] || awk "$$FAILED" test.log test.log; exit $$status

# What test.log has of each test that failed: first what it says itself, which may be an
# error, a line of each, and then its last 60 lines at most. The end of the log, where no test is
# named: a package that did not compile, or that panicked.
define FAILED
FNR == 1 { file++ }
file == 1 && /^panic:/ { $$2 = "FAIL:"; $$3 = $$1; $$1 = "---" }
file == 1 { if ($$1 == "---" && $$2 == "FAIL:" && !($$3 in lines)) { lines[$$3] = 0; order[++tests] = $$3 } next }
/^ *=== / { test = $$3; next }
/^ *--- / { test = $$3 }
/^(PASS|FAIL|ok)/ { test = "" }
/^panic:/ { test = $$1 }
test in lines && test != "panic:" && /^ +[a-z_0-9]+_test\.go:[0-9]+: / && !/: exit [0-9]+$$/ && said[test] < 30 { head[test, ++said[test]] = substr($$0, 1, 300) }
test in lines && (test != "panic:" || lines[test] < 60) { text[test, ++lines[test]] = $$0 }
{ tail[++end] = $$0 }
END {
	for (i = 1; i <= tests; i++) {
		t = order[i]
		print "--- " t ", in test.log:"
		for (n = 1; n <= said[t]; n++) print head[t, n]
		if (said[t]) print "    ..."
		for (n = lines[t] > 60 ? lines[t] - 59 : 1; n <= lines[t]; n++) print text[t, n]
	}
	if (!tests) for (n = end > 100 ? end - 99 : 1; n <= end; n++) print tail[n]
}
endef
export FAILED

# The sweeps whole, with their figures, and each fuzz target for FUZZTIME.
FUZZTIME ?= 30s
test-long: deps
	@REL_TEST_LONG=1 $(GO) test -count=1 -parallel 3 -timeout 5h -v ./... > test-long.log 2>&1; status=$$?; \
	    grep -E '^(ok|FAIL|panic:|--- FAIL|--- SKIP)|^ +--- (FAIL|SKIP)|_test.go:[0-9]+: figures: ' test-long.log; exit $$status
	@for package in ./journal ./phases ./phases/serve ./remote ./cmd/rel/config ./cmd/rel/proposal; do \
	    for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz'); do \
	        $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package > test-fuzz.log 2>&1 || { cat test-fuzz.log; exit 1; }; \
	        echo "$$target: $$(grep -E '^fuzz: elapsed' test-fuzz.log | tail -n 1)"; \
	    done; \
	done

# rel beside what it takes the place of, into BENCHMARKS.md: half an hour. BENCH has flags for it: see rel-bench --help.
bench: deps build
	CGO_ENABLED=0 $(GO) build -trimpath -o $(BIN)/ ./cmd/rel-bench
	$(BIN)/rel-bench --rel $(BIN)/rel $(BENCH)

lint:
	@test -z "$$(gofmt -l .)" || { gofmt -l . ; echo "gofmt: these files are not formatted"; exit 1; }
	$(GO) vet ./...
	GOOS=darwin $(GO) vet ./...
	$(GO) vet -tags fault ./machine
	$(GO) run $(STATICCHECK) ./...
	$(GO) run $(STATICCHECK) -tags fault ./machine
	shellcheck --shell=sh $$(git ls-files '*.sh' | grep -vE '^phases/($(PARTS))\.sh$$')
	@cd phases && for script in $(ASSEMBLED); do \
	    cat $$(echo "$$script" | tr + ' ') | shellcheck --shell=sh - || { echo "in $$script"; exit 1; }; \
	done

# For all systems that an operator may have; none may be larger than LARGEST bytes.
LARGEST := 12000000
cross:
	@for os in darwin linux; do for arch in amd64 arm64; do \
	    CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch $(GO) build -trimpath -tags $(TAGS) $(SMALL) -ldflags='-s -w' -o $(BIN)/cross ./cmd/rel || exit 1; \
	    size=$$(wc -c < $(BIN)/cross) && rm $(BIN)/cross && echo "$$os/$$arch" $$size; \
	    [ $$size -le $(LARGEST) ] || { echo "it is to have at most $(LARGEST) bytes"; exit 1; }; \
	done; done

# The man pages, into bin/man: man -M bin/man rel
man:
	CGO_ENABLED=0 $(GO) build -trimpath -tags $(TAGS) $(SMALL) -o $(BIN)/ ./cmd/rel
	@mkdir -p $(BIN)/man/man1 $(BIN)/man/man5
	$(BIN)/rel man rel.1 > $(BIN)/man/man1/rel.1
	$(BIN)/rel man rel.toml.5 > $(BIN)/man/man5/rel.toml.5

# What is released, into bin/dist: an archive and a parts list (CycloneDX) for each system,
# and SHA256SUMS. VERSION and SOURCE_DATE_EPOCH are git's, unless they are set.
DIST = $(GO) run ./cmd/rel-dist --tags $(TAGS) --flags='$(SMALL)' --largest $(LARGEST)
dist:
	GO=$(GO) $(DIST) --out $(BIN)/dist
	@cd $(BIN)/dist && cat SHA256SUMS

# Made again, from another folder and with nothing that was compiled before, it is the same.
dist-check: dist
	@dir=$$(mktemp -d) && trap 'chmod -R u+w "$$dir" && rm -rf "$$dir"' EXIT && \
	    git archive --prefix=elsewhere/ HEAD | tar -xf - -C "$$dir" && \
	    version=$$(git describe --tags --always --dirty) && when=$$(git log -1 --format=%ct) && \
	    case $$version in *-dirty) echo "dist-check: commit what was changed first"; exit 1;; esac && \
	    ( cd "$$dir/elsewhere" && GO=$(GO) GOCACHE="$$dir/cache" VERSION=$$version SOURCE_DATE_EPOCH=$$when $(DIST) --out "$$dir/dist" ) && \
	    diff -r $(BIN)/dist "$$dir/dist" && echo "dist-check: the same twice"

deps:
	@sh cmd/rel-lab/deps.sh $(PACKAGES)

clean:
	rm -rf $(BIN) test.log test-long.log test-fuzz.log
