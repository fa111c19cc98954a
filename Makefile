# genchi's build. `make` only builds; `make demo` and `make test` also install the Debian packages they
# need. Flavours: CC=clang, SANITIZE=address,undefined, BUILD=dir, DEBUG=1.
VERSION := 0.1.0
SOVERSION := 0

CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
PREFIX ?= /usr/local
DESTDIR ?=
SANITIZE ?=
DEBUG ?=
WERROR ?=

# What a target makes by a second make: on all processors, unless the user said how many jobs (make -j1).
IN_JOBS = $(MAKE) --no-print-directory $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc))

# V=1 shows whole commands
Q := $(if $(V),,@)
say := @printf '  %s %s\n'

comma := ,
FLAVOUR := $(notdir $(CC))$(if $(SANITIZE),-$(subst $(comma),-,$(SANITIZE)))$(if $(DEBUG),-debug)
BUILD ?= build/$(FLAVOUR)

PKGS := libcurl jansson sqlite3 libzstd icu-uc icu-i18n libcrypto zlib lapacke openblas libpcre2-8

WARN := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes \
        -Wmissing-prototypes -Wpointer-arith -Wvla -Wundef -Wwrite-strings -Wformat=2 \
        -Wno-format-nonliteral $(if $(WERROR),-Werror)
OPT := $(if $(DEBUG),-O1 -g3,$(if $(SANITIZE),-O1 -g,-O2 -g))
# -ffp-contract=off: a*b+c is fused only where the code says so, so that gcc and clang agree.
CFLAGS ?=
override CFLAGS := -std=c17 -D_GNU_SOURCE -DGN_VERSION='"$(VERSION)"' -Iinclude -Isrc -fPIC -pthread \
        -fvisibility=hidden -ffp-contract=off -fno-math-errno $(OPT) $(WARN) \
        $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer -DGN_NO_CLONES) \
        $(shell pkg-config --cflags $(PKGS) 2>/dev/null) $(CFLAGS)
LDFLAGS ?=
override LDFLAGS := $(if $(SANITIZE),-fsanitize=$(SANITIZE)) -pthread $(LDFLAGS)
LDLIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -ldnnl -lgomp -lm

LIB_SRC := $(filter-out src/cli/%,$(sort $(wildcard src/*/*.c)))
CLI_SRC := $(sort $(wildcard src/cli/*.c))
LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/%.o)
CLI_OBJ := $(CLI_SRC:%.c=$(BUILD)/%.o)
TEST_SRC := $(sort $(wildcard tests/unit/test_*.c))
TEST_BIN := $(TEST_SRC:tests/unit/%.c=$(BUILD)/tests/%)
TEST_LIB := $(filter-out tests/unit/test_%,$(sort $(wildcard tests/unit/*.c)))
TEST_LIB_OBJ := $(TEST_LIB:%.c=$(BUILD)/%.o)
STATIC := $(BUILD)/libgenchi.a
SHARED := $(BUILD)/libgenchi.so.$(VERSION)
GENCHI := $(BUILD)/genchi

.PHONY: all demo test run-tests unit-tests check-unit packages install uninstall check-install format \
        check-format lint valgrind fuzz fuzz-build fuzz-corpus bench bench-peers conformance calibrate \
        calibrate-tests calibrate-kinds calibrate-coverage study-texts study-tables clean
.DELETE_ON_ERROR:
.SECONDARY:

all: $(STATIC) $(SHARED) $(if $(CLI_SRC),$(GENCHI))

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

# The kernels are one body compiled for each instruction set; a*b+c is fused there and nowhere else.
KERNEL_FLAGS := -ffp-contract=fast $(if $(DEBUG),,-O3)
ifneq ($(filter x86_64%,$(shell $(CC) -dumpmachine 2>/dev/null)),)
AVX2_FLAGS := -mavx2 -mfma
AVX512_FLAGS := -mavx512f -mavx512bw -mavx512vl -mfma
endif
$(BUILD)/src/tensor/kernel_base.o: override CFLAGS += $(KERNEL_FLAGS)
$(BUILD)/src/tensor/kernel_avx2.o: override CFLAGS += $(KERNEL_FLAGS) $(AVX2_FLAGS)
$(BUILD)/src/tensor/kernel_avx512.o: override CFLAGS += $(KERNEL_FLAGS) $(AVX512_FLAGS)
$(BUILD)/src/tensor/kernel_avx512bf16.o: override CFLAGS += $(KERNEL_FLAGS) $(AVX512_FLAGS) -mavx512bf16
$(BUILD)/src/tensor/kernel_avx512vnni.o: override CFLAGS += $(KERNEL_FLAGS) $(AVX512_FLAGS) -mavx512vnni
$(BUILD)/src/tensor/gradient_base.o: override CFLAGS += $(KERNEL_FLAGS)
$(BUILD)/src/tensor/gradient_avx2.o: override CFLAGS += $(KERNEL_FLAGS) $(AVX2_FLAGS)
$(BUILD)/src/tensor/gradient_avx512.o: override CFLAGS += $(KERNEL_FLAGS) $(AVX512_FLAGS)

# Loops over arrays are vectorised (gcc's -O2 does it only where their length is known); additions keep their order,
# so results do not change.
LOOPS := $(wildcard src/detect/*.c) $(shell grep -l GN__CLONES src/*/*.c)
$(sort $(LOOPS:%.c=$(BUILD)/%.o)): override CFLAGS += $(if $(DEBUG)$(SANITIZE),,-O3)

$(STATIC): $(LIB_OBJ)
	@rm -f $@
	$(say) AR $@
	$(Q)ar rcs $@ $^

$(SHARED): $(LIB_OBJ)
	$(say) LD $@
	$(Q)$(CC) -shared -Wl,-soname,libgenchi.so.$(SOVERSION) $(LDFLAGS) -o $@ $^ $(LDLIBS)
	@ln -sf $(@F) $(BUILD)/libgenchi.so.$(SOVERSION)
	@ln -sf $(@F) $(BUILD)/libgenchi.so

$(GENCHI): $(CLI_OBJ) $(STATIC)
	$(say) LD $@
	$(Q)$(CC) $(LDFLAGS) -o $@ $(CLI_OBJ) $(STATIC) $(LDLIBS)

$(BUILD)/tests/%: $(BUILD)/tests/unit/%.o $(TEST_LIB_OBJ) $(STATIC)
	@mkdir -p $(@D)
	$(say) LD $@
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(TEST_LIB_OBJ) $(STATIC) $(LDLIBS)

$(BUILD)/tests/test_tls: LDLIBS += -lssl

# One unit test by name: make check-unit T=core
check-unit: $(BUILD)/tests/test_$(T)
	$<

unit-tests: $(TEST_BIN)

# What `make test` and `make demo` run once the packages are there: a second make, because pkg-config has to be
# asked again.
test: packages
	+@$(IN_JOBS) run-tests

run-tests: all $(TEST_BIN) $(BUILD)/example
	tests/run.sh $(BUILD)

packages:
	@scripts/install-packages.sh scripts/packages.txt

# DEMO=ja: the Japanese example data.
DEMO ?= en
demo:
	@scripts/install-packages.sh scripts/packages.txt python3-pip
	+@$(IN_JOBS) -s all
	@scripts/demo.sh $(GENCHI) $(DEMO)

# The example program, compiled against the public headers and the shared library only, as a user would.
$(BUILD)/example: examples/c/example.c $(wildcard include/genchi/*.h) $(SHARED)
	$(say) LD $@
	$(Q)$(CC) -std=c17 -Wall -Wextra -Iinclude $(if $(SANITIZE),-fsanitize=$(SANITIZE)) -o $@ $< \
	    -L$(BUILD) -Wl,-rpath,'$$ORIGIN' -lgenchi

# ---- installation ----------------------------------------------------------------------------------

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/include/genchi \
	    $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/bash-completion/completions \
	    $(DESTDIR)$(PREFIX)/share/zsh/site-functions $(DESTDIR)$(PREFIX)/share/doc/genchi
	install -m 755 $(GENCHI) $(DESTDIR)$(PREFIX)/bin/genchi
	install -m 644 include/genchi/*.h $(DESTDIR)$(PREFIX)/include/genchi
	install -m 644 $(STATIC) $(DESTDIR)$(PREFIX)/lib
	install -m 755 $(SHARED) $(DESTDIR)$(PREFIX)/lib
	ln -sf $(notdir $(SHARED)) $(DESTDIR)$(PREFIX)/lib/libgenchi.so.$(SOVERSION)
	ln -sf $(notdir $(SHARED)) $(DESTDIR)$(PREFIX)/lib/libgenchi.so
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' -e 's|@REQUIRES@|$(PKGS)|' genchi.pc.in \
	    > $(DESTDIR)$(PREFIX)/lib/pkgconfig/genchi.pc
	install -m 644 man/genchi.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 completion/genchi.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/genchi
	install -m 644 completion/_genchi $(DESTDIR)$(PREFIX)/share/zsh/site-functions
	install -m 644 LICENSE README.md $(DESTDIR)$(PREFIX)/share/doc/genchi

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/genchi $(DESTDIR)$(PREFIX)/lib/libgenchi.* \
	    $(DESTDIR)$(PREFIX)/lib/pkgconfig/genchi.pc $(DESTDIR)$(PREFIX)/share/man/man1/genchi.1 \
	    $(DESTDIR)$(PREFIX)/share/bash-completion/completions/genchi \
	    $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_genchi
	rm -rf $(DESTDIR)$(PREFIX)/include/genchi $(DESTDIR)$(PREFIX)/share/doc/genchi

check-install: all
	tests/install.sh

# ---- checks beside the tests -------------------------------------------------------------------------

C_FILES := $(sort $(wildcard src/*/*.[ch] include/genchi/*.h tests/unit/*.[ch] fuzz/*.c bench/*.c examples/c/*.c))

format:
	clang-format -i $(C_FILES)

check-format:
	@clang-format --dry-run --Werror $(C_FILES)

lint:
	tests/tools/check_floors.sh
	python3 tests/tools/check_messages.py

# The tests that are small enough for an interpreter of instructions.
VALGRIND_TESTS := core units npy sets encoding decide model_errors
valgrind: $(VALGRIND_TESTS:%=$(BUILD)/tests/test_%)
	@for t in $^; do valgrind -q --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite $$t \
	    > $(BUILD)/valgrind.log 2>&1 || { cat $(BUILD)/valgrind.log; exit 1; }; done

# Fuzz targets (clang, libFuzzer). fuzz-corpus runs each on its kept corpus; fuzz FUZZ=name runs on.
FUZZ_SRC := $(sort $(wildcard fuzz/fuzz_*.c))
FUZZ_NAMES := $(FUZZ_SRC:fuzz/fuzz_%.c=%)
FUZZ_BUILD := build/fuzz
FUZZ ?= csv
FUZZ_SECONDS ?= 60
fuzz-build:
	+@$(IN_JOBS) CC=clang SANITIZE=fuzzer-no-link,address,undefined BUILD=$(FUZZ_BUILD) \
	    $(FUZZ_NAMES:%=$(FUZZ_BUILD)/fuzz_%)

$(FUZZ_BUILD)/fuzz_%: $(FUZZ_BUILD)/fuzz/fuzz_%.o $(FUZZ_BUILD)/libgenchi.a
	$(say) LD $@
	$(Q)clang -fsanitize=fuzzer,address,undefined -pthread -o $@ $< $(FUZZ_BUILD)/libgenchi.a $(LDLIBS)

fuzz-corpus: fuzz-build
	@for f in $(FUZZ_NAMES); do $(FUZZ_BUILD)/fuzz_$$f -runs=0 fuzz/corpus/$$f > $(FUZZ_BUILD)/log 2>&1 \
	    || { cat $(FUZZ_BUILD)/log; exit 1; }; done

fuzz: fuzz-build
	mkdir -p $(FUZZ_BUILD)/corpus/$(FUZZ)
	$(FUZZ_BUILD)/fuzz_$(FUZZ) -max_total_time=$(FUZZ_SECONDS) $(FUZZ_BUILD)/corpus/$(FUZZ) fuzz/corpus/$(FUZZ)

$(BUILD)/bench/%: $(BUILD)/bench/%.o $(BUILD)/bench/study.o $(STATIC)
	$(say) LD $@
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(BUILD)/bench/study.o $(STATIC) $(LDLIBS)

bench: all
	bench/check.sh $(GENCHI)

# Studies by simulation (level, power, equivalence, coverage, kinds of shift). What is simulated is kept in STUDY as
# sums (docs/study/README.md), which are committed: stopped and started again, on another day or with more
# SIMULATIONS, a study goes on where it stood. "make study-tables" puts what is there into docs/calibration*.md and
# docs/coverage.md. The rows of real embeddings are gone on with where "make study-texts" has made the texts'
# (STUDY_TEXTS). From nothing, 100 simulations take some ten minutes of two cores, 2000 some hours.
SIMULATIONS ?= 100
STUDY ?= docs/study
STUDY_TEXTS ?= build/study-texts
STUDY_NPY = $(wildcard $(STUDY_TEXTS)/BASE.npy) $(wildcard $(STUDY_TEXTS)/OTHER.npy)
calibrate: calibrate-tests calibrate-kinds calibrate-coverage
calibrate-tests: $(BUILD)/bench/calibrate
	@mkdir -p $(STUDY)
	for part in level power equivalence graded; do \
	    $< $$part $(SIMULATIONS) $(STUDY)/$$part.tsv $(STUDY_NPY) || exit 1; done
calibrate-kinds: $(BUILD)/bench/calibrate_kinds
	@mkdir -p $(STUDY)
	for part in kinds coverage rows; do $< $$part $(SIMULATIONS) $(STUDY)/kinds_$$part.tsv || exit 1; done
calibrate-coverage: $(BUILD)/bench/coverage
	@mkdir -p $(STUDY)
	for part in domain probe line plane scores; do \
	    $< $$part $(SIMULATIONS) $(STUDY)/cov_$$part.tsv || exit 1; done
study-texts: $(GENCHI)
	@mkdir -p $(STUDY_TEXTS)
	model=$$(scripts/fetch-demo-model.sh) && \
	    $(GENCHI) embed --model $$model --input examples/data/en_train.csv --text text --out $(STUDY_TEXTS)/BASE.npy && \
	    $(GENCHI) embed --model $$model --input examples/data/en_field.csv --text text --out $(STUDY_TEXTS)/OTHER.npy
study-tables: $(BUILD)/bench/calibrate $(BUILD)/bench/calibrate_kinds $(BUILD)/bench/coverage
	bench/tables.sh $(BUILD)/bench $(STUDY)

# Against other tools, in a Python environment of its own (minutes to hours): PEERS="embed …", all by default.
$(BUILD)/product: bench/product.c
	@mkdir -p $(@D)
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< $(LDLIBS)

PEERS ?= all
bench-peers: all $(BUILD)/product $(BUILD)/bench/size $(BUILD)/bench/detect_speed
	PEERS="$(PEERS)" bench/peers/run.sh $(BUILD)

# Against the real Python libraries, in a fresh virtual environment (docs/conformance.md): full, or short.
CONFORMANCE ?= full
CONFORMANCE_OPTIONS ?=
conformance: all
	@tests/conformance/run.sh $(BUILD) $(CONFORMANCE) $(CONFORMANCE_OPTIONS)

clean:
	rm -rf build

-include $(LIB_OBJ:.o=.d) $(CLI_OBJ:.o=.d) $(TEST_BIN:$(BUILD)/tests/%=$(BUILD)/tests/unit/%.d) $(TEST_LIB_OBJ:.o=.d)
