// SPDX-License-Identifier: GPL-2.0
/* Tells by which way the kernel comes to provider_add(). */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/stacktrace.h>

/* ANCHOR: seen */
static int witness_seen(struct kprobe *probe, struct pt_regs *regs)
{
	unsigned long callers[16];
	unsigned int count, i;

	count = stack_trace_save(callers, ARRAY_SIZE(callers), 0);
	for (i = 0; i < count; i++)
		pr_info("%ps\n", (void *)callers[i]);
	return 0;
}

static struct kprobe witness_probe = {
	.symbol_name = "provider_add",
	.pre_handler = witness_seen,
};
/* ANCHOR_END: seen */

static int __init witness_init(void)
{
	return register_kprobe(&witness_probe);
}
module_init(witness_init);

static void __exit witness_exit(void)
{
	unregister_kprobe(&witness_probe);
}
module_exit(witness_exit);

MODULE_DESCRIPTION("Shows who calls provider_add");
MODULE_LICENSE("GPL");
