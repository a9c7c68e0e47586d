# SPDX-License-Identifier: GPL-2.0
#
# A Rust module that uses another Rust module as a crate. In a Kbuild file, below obj-m and the
# lists of objects:
#
#	tally-crates := provider	# module tally uses the crate of module provider
#	crates-m := provider		# provider offers its crate to modules of other Kbuild files
#	include $(src)/crates.mk
#
# The second line is needless where both modules are in one Kbuild file. The crate is called as the
# module, with _ for -. A folder that uses the crate of a neighbor is built after it when their
# common Kbuild says so: $(obj)/tally: $(obj)/provider. Built alone, a module finds the crate beside
# the Module.symvers that KBUILD_EXTRA_SYMBOLS names, or in a folder there.
#
# A crate is metadata (lib*.rmeta) and a table of exports, as for nova-core in
# drivers/gpu/Makefile (7.3). Exported is what rustc left global in the object: it makes everything
# local that neither the public items nor the code that importers compile from them (generic and
# inlined functions, the statics they use) can name. So the table needs no importer to exist.
#
# The table also exports a seal, whose name ends in the hash that rustc gives the crate (SVH). It
# covers all that the compiler sees of the crate, private items and the crates below included; not
# comments, and not positions in the source. Every importer refers to it, so an importer of another
# crate meets an unknown symbol, on kernels without MODVERSIONS too.

crate-name = $(subst -,_,$1)

# The object of the module $1 that is made from Rust: its crate's root.
crate-root = $(or $(firstword $(foreach object,$($1-y) $($1-objs),\
	$(if $(wildcard $(src)/$(object:.o=.rs)),$(object)))),\
	$(error $1 needs a list of objects with a Rust one among them, for example \
	$1-y := $1_main.o: its crate is linked with a table of exports))

crate-users := $(foreach module,$(obj-m:.o=),$(if $($(module)-crates),$(module)))
crates-here := $(sort $(crates-m) \
	$(filter $(obj-m:.o=),$(foreach user,$(crate-users),$($(user)-crates))))

# Where crates of other builds are, and where those of neighboring folders are.
crate-folders-named := $(foreach file,$(KBUILD_EXTRA_SYMBOLS),\
	$(dir $(file)) $(wildcard $(dir $(file))*/))
crate-folders := $(crate-folders-named) $(if $(filter-out .,$(obj)),$(wildcard $(obj)/../*/))
crate-found := $(wildcard $(addsuffix lib*.rmeta,$(crate-folders)))

# The metadata of the crate of module $1. One that is nowhere is expected in this folder.
crate-metadata = $(or $(if $(filter $1,$(crates-here)),$(obj)/lib$(crate-name).rmeta),\
	$(firstword $(filter %/lib$(crate-name).rmeta,$(crate-found))),\
	$(obj)/lib$(crate-name).rmeta)

# The seal of the crate of module $1, once its metadata is there. It ends in `unknown` when this
# rustc cannot read the metadata. Make expands flags and recipes many times: rustc is asked once.
crate-seal = $(eval crate-seal-of-$1 := $(or $(crate-seal-of-$1),$(call crate-hash,$1)))$\
	$(or $(crate-seal-of-$1),$(crate-name)_abi_unknown)
crate-hash = $(addprefix $(crate-name)_abi_,$(shell $(RUSTC) -Zls=root $(crate-metadata) 2>/dev/null | \
	sed -n 's/^hash \([0-9a-f]\{16\}\).*/\1/p'))

# A name must fit in a line of modpost (SZ in scripts/mod/modpost.c, 7.3: 500), which has the
# module's path and the class of the export too. The kernel takes more (KSYM_NAME_LEN: 512).
crate-name-max := 400

# Names that the macro module! leaves global and no importer can use.
crate-glue := 13___module_init|17module_parameters.*[0-9]___|6kernel6module13InPlaceModule4init$$

quiet_cmd_crate_table = EXPORTS $@
      cmd_crate_table = $(if $(filter %_unknown,$(seal)),\
	echo >&2 '$(RUSTC) -Zls=root shows no hash of $<: crates.mk does not know this compiler'; \
	false;) { $(NM) -gp --defined-only $< | $(AWK) ' \
	BEGIN { print "\#include <linux/export.h>" } \
	$$3 !~ /^_R/ || $$3 ~ /[.]|$(crate-glue)/ { next } \
	length($$3) > $(crate-name-max) { print "$@: a name of " length($$3) \
		" characters, $(crate-name-max) is the most that modpost takes beside the rest of " \
		"its line; inline the function or shorten its types: " $$3 > "/dev/stderr"; exit 1 } \
	{ print "extern int " $$3 "; EXPORT_SYMBOL_GPL(" $$3 ");" }' && \
	echo 'const char $(seal) = 0; EXPORT_SYMBOL_GPL($(seal));'; } > $@

# $1 module, $2 its crate, $3 its root
define crate-offer
$1-y += $2_crate_generated.o
RUSTFLAGS_$3 += --crate-name $2 --emit=metadata=$(obj)/lib$2.rmeta -Zincremental-ignore-spans
targets += $2_crate_generated.c
clean-files += lib$2.rmeta $2_crate_generated.c

# rustc makes both; where the metadata is gone, the object is made again.
$(obj)/lib$2.rmeta: $(obj)/$3 ;
$(obj)/$3: $(if $(wildcard $(obj)/lib$2.rmeta),,$(obj)/lib$2.missing)
$(obj)/lib$2.missing: ;

$(obj)/$2_crate_generated.c: private seal = $$(call crate-seal,$1)
$(obj)/$2_crate_generated.c: $(obj)/$3 FORCE
	$$(call if_changed,crate_table)

# C knows no types of Rust: the versions are those of the Rust object.
$(obj)/$2_crate_generated.o: private cmd_gensymtypes_c = \
	$$(call getexportsymbols,\1) | $$(gendwarfksyms) $(obj)/$3 $$@
endef

# Says what rustc and modpost would only hint at. $1 module, $2 the module whose crate it uses
crate-check = $(if $(filter %_unknown,$(call crate-seal,$2)),\
	echo >&2 '$1: $(crate-metadata-2) was made by another compiler than $(shell $(RUSTC) -V): build $2 again with this one'; false,\
	$(if $(filter $(addsuffix lib%.rmeta,$(crate-folders-named)),$(crate-metadata-2)),\
	grep -qw $(call crate-seal,$2) $(KBUILD_EXTRA_SYMBOLS) || { echo >&2 '$1: $(crate-metadata-2) and \
	$(KBUILD_EXTRA_SYMBOLS) are not of one build of $2 (which exports $(call crate-seal,$2)): \
	take both from the same build'; false; }))
crate-metadata-2 = $(call crate-metadata,$2)

# $1 module, $2 its root, $3 the module whose crate it uses
define crate-use
RUSTFLAGS_$2 += --extern $(call crate-name,$3)=$(call crate-metadata,$3)
LDFLAGS_$1.o += -u $$(call crate-seal,$3)
PHONY += check-$1-$3
$(obj)/$2: $(call crate-metadata,$3) check-$1-$3
check-$1-$3: $(call crate-metadata,$3)
	@$$(call crate-check,$1,$3)
$(if $(filter $3,$(crates-here)),,$(if $(wildcard $(call crate-metadata,$3)),,
$(call crate-metadata,$3):
	@echo >&2 '$1 uses the crate $(call crate-name,$3), and lib$(call crate-name,$3).rmeta is in none of: $(or $(strip $(crate-folders)),no folder at all)'
	@echo >&2 'build $3 first, and name its Module.symvers in KBUILD_EXTRA_SYMBOLS; of one build, order the folders'
	@false))
endef

$(foreach module,$(crates-here),\
	$(eval $(call crate-offer,$(module),$(call crate-name,$(module)),$(call crate-root,$(module)))))
$(foreach user,$(crate-users),\
	$(eval RUSTFLAGS_$(call crate-root,$(user)) += $(addprefix -Ldependency=,\
		$(sort $(dir $(crate-found)) $(if $(crates-here),$(obj)/))))\
	$(foreach crate,$($(user)-crates),\
		$(eval $(call crate-use,$(user),$(call crate-root,$(user)),$(crate)))))

# Kbuild does not watch these files (scripts/Makefile.modpost of 7.3) and would keep old versions.
$(if $(crate-users),$(eval Module.symvers: $(KBUILD_EXTRA_SYMBOLS)))
