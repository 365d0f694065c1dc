# make demo   everything on the bundled model: profile, tune, verify, generate, compare
# make test   all tests, in the release configuration that people run (in a build folder of their own)
# make fuzz   damaged files for every reader of files (INPUTS of them each, made from SEED)
# make sanitize   all tests under AddressSanitizer and ThreadSanitizer, and with kernels that trap on undefined behaviour: 40 minutes
# make coverage   what the tests reach of every target, line by line (FILTER: a regular expression of the tests to run)
# make bench  the attention kernel in both precisions, and a loop of OpenBLAS tiles
# make static a folder that runs on Linux machines without Swift: the stripped program, its model, and the libraries it needs beside glibc
# make library  the C library in a folder: libsampleattention.so, which needs glibc and the C++ runtime, and its header
# make python the Python package in an environment of its own, and its tests that need neither torch nor transformers
# make docs   DocC archives of the libraries in .build/plugins
# make example  the program of Examples/operator, built as any other package builds it, and that of Examples/c with the C library
# make licences  which product links which system library, against NOTICE
# make interfaces  products hold every module that their public declarations name
# make format / make clean

SHELL := /bin/bash
export SAMPLE_ATTENTION_STRICT := 1
program := .build/release/sample-attention
out := out/demo
# The demo's operations in matrix products (10⁹), and its seconds in everything else: only for saying how long it will take.
demo_gflop := 86000
demo_seconds := 60
packages := libopenblas-dev liblapacke-dev libgsl-dev libssl-dev

.PHONY: demo test test-debug coverage fuzz fuzz-debug sanitize bench static library python docs example format lint licences interfaces clean setup build

build: setup
	swift build -c release --product sample-attention

setup:
	@missing=""; for package in $(packages); do \
	  dpkg-query -W -f='$${Status}' $$package 2>/dev/null | grep -q 'install ok installed' || missing="$$missing $$package"; done; \
	if [ -n "$$missing" ]; then \
	  sudo=""; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	  echo "Installing system libraries:$$missing"; \
	  $$sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq $$missing >/dev/null; \
	fi
	@command -v swift >/dev/null || { echo "Swift 6.2 or later is needed: https://www.swift.org/install"; exit 1; }

demo: build
	@rm -rf $(out) && mkdir -p $(out)
	@$(program) bench peak | awk '$$1 == "fp32" { fp32 = $$3 } $$1 == "bf16" { bf16 = $$3 } END { \
	  fast = bf16 > 1.25 * fp32; peak = fast ? bf16 : fp32; \
	  printf "This machine multiplies %s at %.0f GFLOP/s: the demo takes about %.0f minutes.\n", \
	    fast ? "BF16" : "FP32", peak, ($(demo_gflop) / peak + $(demo_seconds)) / 60 }'
	@echo; echo "== Profile: how concentrated is each of the 48 heads?"; echo
	@$(program) profile --length 4096 --output $(out)/profile
	@echo; echo "== Tune: parameters for every head at two lengths"; echo
	@$(program) tune --length 4096 --length 12288 --trials 20 --minutes 3 --force --output $(out)/tuned
	@echo; echo "== Verify: measured error against the theorems' bounds"; echo
	@$(program) verify --length 512 --length 1024
	@echo; echo "== Generate: a question about a fact in 12,288 tokens, dense and tuned"; echo
	@$(program) tasks --length 12288 --depth 0.5 --prompt-only > $(out)/needle.txt && tail -n 2 $(out)/needle.txt && echo
	@$(program) generate --prompt-file $(out)/needle.txt --max-tokens 7 --attention dense
	@$(program) generate --prompt-file $(out)/needle.txt --max-tokens 7 --config $(out)/tuned/config.json
	@echo; echo "== Compare: dense, a plain window and tuned in turn (TTFT = time to first token)"; echo
	@$(program) compare --methods dense,streaming-llm,tuned --config $(out)/tuned/config.json --length 4096 --length 12288 --kind needle-multi-key --kind interleaved --count 1 --depth 0.25 --depth 0.75 --output $(out)/comparison
	@echo; echo "Reports: $(out)/profile/report.html, $(out)/tuned/report.html and $(out)/comparison/report.html"

# No test imports with @testable; saying so keeps the flags, and with them the build, of a plain release build.
test: setup
	swift test -c release --disable-testable-imports --scratch-path .build-test --explicit-target-dependency-import-check error

# Debug builds add overflow, bounds and exclusivity checks: the kernels and what feeds them must pass under these too.
test-debug: setup
	swift test --filter 'AttentionCoreTests|ParallelismTests|LinearAlgebraTests|AttentionKernelsTests|SampleAttentionTests|ModelFormatsTests'

# What end-to-end tests reach, they reach in processes of their own, which are not counted: left out, they leave the figures as they are.
FILTER ?= .
coverage: setup
	rm -rf .build-coverage/profiles
	swift build --build-tests --enable-code-coverage --scratch-path .build-coverage
	LLVM_PROFILE_FILE='$(CURDIR)/.build-coverage/profiles/%p.profraw' swift test --skip-build --scratch-path .build-coverage --filter '$(FILTER)' --skip EndToEndTests
	.ci/coverage .build-coverage

INPUTS ?= 100000
SEED ?= 1
fuzz: setup
	swift run -c release ParserFuzzing --inputs $(INPUTS) --seed $(SEED)

# Debug builds check bounds of unsafe buffers too, and are slower.
fuzz-debug: setup
	swift run ParserFuzzing --inputs 2000 --seed $(SEED)

# Leaks are not looked for: what lives until the end of the process, as a singleton does, is none. Swift has no UndefinedBehaviorSanitizer
# on Linux and traps on overflow and bounds by itself; the kernels in C trap on what is undefined.
sanitize: sanitize-address sanitize-thread sanitize-undefined

sanitize-address sanitize-thread: flags = --sanitize=$(@:sanitize-%=%)
sanitize-undefined: flags = -Xcc -fsanitize=undefined -Xcc -fsanitize-trap=undefined
sanitize-%: export SAMPLE_ATTENTION_SANITIZER = $*
sanitize-%: export ASAN_OPTIONS = detect_leaks=0
sanitize-%: setup
	swift test -c release --disable-testable-imports --scratch-path .build-$* $(flags)

bench: build
	$(program) bench attention --length 4096 --length 8192
	$(program) bench attention --length 4096 --length 8192 --precision bf16

# The program looks for libraries in lib/ beside itself, also for those that libraries need in turn.
static: setup
	swift build -c release --product sample-attention --static-swift-stdlib --scratch-path .build-static \
	  -Xlinker --disable-new-dtags -Xlinker -rpath -Xlinker '$$ORIGIN/lib'
	@rm -rf out/static && mkdir -p out/static/lib
	@built="$$(swift build -c release --static-swift-stdlib --scratch-path .build-static --show-bin-path)"; \
	strip -o out/static/sample-attention "$$built/sample-attention" && cp LICENSE NOTICE out/static/ && cp -r "$$built/sample-attention_HaystackModel.resources" out/static/ && \
	ldd "$$built/sample-attention" | awk '$$3 ~ "^/" { print $$3 }' | grep -vE '/(libc|libm|libpthread|libdl|librt)\.so' | xargs -I {} cp -L {} out/static/lib/
	@du -sh out/static

# With Swift's own libraries inside, and nothing to see but the functions of the header. SwiftPM links them into programs only, hence the
# option of the compiler. The C++ runtime is left to the system: a process has one, and should not get ours.
library: setup
	swift build -c release --product sampleattention --static-swift-stdlib -Xswiftc -static-stdlib --scratch-path .build-library \
	  -Xlinker --version-script=Sources/CSampleAttention/exports.map -Xlinker --gc-sections
	@rm -rf out/library && mkdir -p out/library
	@built="$$(swift build -c release --scratch-path .build-library --show-bin-path)"; \
	strip -o out/library/libsampleattention.so "$$built/libsampleattention.so"
	@cp Sources/CSampleAttention/include/sample_attention.h LICENSE NOTICE out/library/
	@du -sh out/library

python: library
	@test -d .build-python || python3 -m venv .build-python
	@.build-python/bin/pip install -q --disable-pip-version-check --force-reinstall --no-deps ./Sources/Python
	@.build-python/bin/pip install -q --disable-pip-version-check numpy pytest
	SAMPLE_ATTENTION_LIBRARY=out/library/libsampleattention.so .build-python/bin/python -m pytest -q Sources/Python/tests
	SAMPLE_ATTENTION_LIBRARY=out/library/libsampleattention.so .build-python/bin/python Examples/python/attend.py

# As a dependency: without unsafe flags, which SwiftPM refuses there, and with nothing linked that the product does not need.
example: swift = env -u SAMPLE_ATTENTION_STRICT swift
example: library
	@python3 -c "import sys; sys.exit(open('Examples/operator/Sources/operator/main.swift').read() not in open('README.md').read())" \
	  || { echo "README.md must show the program of Examples/operator as it is"; exit 1; }
	$(swift) run -c release --package-path Examples/operator operator
	.ci/system-libraries SampleAttention "$$($(swift) build -c release --package-path Examples/operator --show-bin-path)/operator"
	c++ -std=c++11 -Wall -Wextra -Werror -pedantic -fsyntax-only -x c++ out/library/sample_attention.h
	cc -std=c11 -Wall -Wextra -Werror -pedantic -O2 -Iout/library Examples/c/attend.c -Lout/library -lsampleattention -Wl,-rpath,$(CURDIR)/out/library -lm -o out/attend
	out/attend
	.ci/system-libraries sampleattention out/attend

# Parameters whose names say all have no words of their own: that is not missing. Warnings are errors.
docs: setup
	SAMPLE_ATTENTION_DOCS=1 swift package generate-documentation --warnings-as-errors --disable-parameters-and-returns-validation $(foreach catalogue,$(wildcard Sources/*/*.docc),--target $(basename $(notdir $(catalogue))))

format:
	swift format --in-place --parallel --recursive Package.swift Sources Tests Examples

lint:
	swift format lint --strict --parallel --recursive Package.swift Sources Tests Examples

licences:
	.ci/system-libraries

# A debug build, as that of test-debug.
interfaces: setup
	swift build
	.ci/product-interfaces "$$(swift build --show-bin-path)"

clean:
	rm -rf .build .build-python .build-test .build-static .build-library .build-coverage .build-address .build-thread .build-undefined Examples/operator/.build out
