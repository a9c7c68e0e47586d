// SPDX-License-Identifier: GPL-2.0
/* Tells by which way the kernel comes to provider_add(). */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/stacktrace.h>

/* ANCHOR: seen */
static int witness_before(struct kprobe *probe, struct pt_regs *regs)
{
	unsigned long stack[20];
	unsigned int depth, i;

	pr_info("%s is in\n", current->comm);

	depth = stack_trace_save(stack, ARRAY_SIZE(stack), 0);
	/* First come functions of the probe itself, then the place where it is. */
	for (i = 0; i < depth && stack[i] != regs->ip; i++)
		;
	for (; i < depth; i++)
		pr_info("  %ps\n", (void *)stack[i]);
	return 0;
}

/* Nothing; but a probe that has this stays a breakpoint and becomes no jump. */
static void witness_after(struct kprobe *probe, struct pt_regs *regs, unsigned long flags)
{
}

static struct kprobe witness_probe = {
	.symbol_name = "provider_add",
	.pre_handler = witness_before,
	.post_handler = witness_after,
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
