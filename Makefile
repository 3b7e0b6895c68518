# rel: the commands of its developers. `make demo` and `make test` do their own
# set-up on a Debian machine as root; elsewhere they say what is missing.

GO      ?= go
BIN     := bin
LAB     ?= /var/lib/rel-demo
# What the lab's hosts are made of, and what checks their scripts.
PACKAGES := nix-bin openssh-server openssh-client systemd systemd-container dbus iproute2 util-linux git caddy curl zstd \
            sudo opendoas zsh fish tcsh shellcheck
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

# The scripts of phases/ that are not sent as they are, and how they are put
# together (phases/job.go and those beside it).
HEAD      := target.sh
TIMERS    := $(HEAD)+timers.sh
ASSEMBLED := job.sh+$(TIMERS)+units.sh+links.sh+apply.sh \
             $(foreach s,confirm keep extend,$(TIMERS)+$(s).sh) \
             $(foreach s,take beat leave unlock,$(HEAD)+hold.sh+$(s).sh) \
             $(foreach s,export push,pack.sh+$(s).sh) \
             $(foreach s,admit dismiss receive,$(HEAD)+keys.sh+$(s).sh) \
             $(foreach s,start look releases anchors adopt journal prune doctor-traces,$(HEAD)+$(s).sh)
PARTS     := job|target|hold|take|beat|leave|unlock|timers|units|links|apply|confirm|keep|extend|start|look|receive|releases|anchors|adopt|journal|prune|doctor-traces|pack|export|push|keys|admit|dismiss

.PHONY: build demo test test-long lint cross deps clean

build:
	CGO_ENABLED=0 $(GO) build -trimpath -o $(BIN)/ ./cmd/rel ./cmd/rel-lab

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
	    [ $$status -eq 0 ] || { echo "--- test.log:"; grep -vE '^ *(=== |--- PASS)' test.log | tail -n 400; }; \
	    exit $$status

# The sweeps whole, with their figures, and each fuzz target for FUZZTIME.
FUZZTIME ?= 30s
test-long: deps
	@REL_TEST_LONG=1 $(GO) test -count=1 -parallel 3 -timeout 5h -v ./... > test-long.log 2>&1; status=$$?; \
	    grep -E '^(ok|FAIL|panic:|--- FAIL|--- SKIP)|^ +--- (FAIL|SKIP)|_test.go:[0-9]+: figures: ' test-long.log; exit $$status
	@for package in ./journal ./phases ./remote ./cmd/rel; do \
	    for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz'); do \
	        $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package > test-fuzz.log 2>&1 || { cat test-fuzz.log; exit 1; }; \
	        echo "$$target: $$(grep -E '^fuzz: elapsed' test-fuzz.log | tail -n 1)"; \
	    done; \
	done

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

cross:
	@for os in darwin linux; do for arch in amd64 arm64; do \
	    echo "$$os/$$arch"; \
	    CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch $(GO) build -trimpath -ldflags='-s -w' -o /dev/null ./cmd/rel || exit 1; \
	done; done

deps:
	@sh cmd/rel-lab/deps.sh $(PACKAGES)

clean:
	rm -rf $(BIN) test.log test-long.log test-fuzz.log
