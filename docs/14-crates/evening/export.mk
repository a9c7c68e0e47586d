# SPDX-License-Identifier: GPL-2.0
#
# Versions for the exports of Rust objects: include $(src)/export.mk in the Kbuild file of a module
# that uses export.rs.
#
# Kbuild computes them for C objects only: rule_cc_o_c in scripts/Makefile.lib has a step that
# rule_rustc_o_rs in scripts/Makefile.build lacks (7.3). Kbuild defines its rule after this file is
# read, so the one here belongs to the targets.

ifdef CONFIG_MODVERSIONS
cmd_gen_symversions_rs = if $(NM) $@ | grep -q ' __export_symbol_'; then \
	$(call getexportsymbols,\1) | $(gendwarfksyms) $@ >> $(dot-target).cmd; fi

define rule_rustc_o_rs_versioned
	$(call cmd_and_fixdep,rustc_o_rs)
	$(call cmd,gen_objtooldep)
	$(call cmd,gen_symversions_rs)
endef

$(obj)/%.o: private rule_rustc_o_rs = $(rule_rustc_o_rs_versioned)
endif
