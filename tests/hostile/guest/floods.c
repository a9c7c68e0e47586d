// SPDX-License-Identifier: GPL-2.0
/* Logs more than the kernel keeps, in small pieces, and lets nobody read meanwhile. */
#include <linux/module.h>
#include <linux/preempt.h>

static int __init floods_init(void)
{
	int i;

	preempt_disable();
	for (i = 0; i < 40000; i++)
		pr_info("x\n");
	preempt_enable();
	return 0;
}
module_init(floods_init);

static void __exit floods_exit(void)
{
}
module_exit(floods_exit);

MODULE_DESCRIPTION("Floods the log");
MODULE_LICENSE("GPL");
