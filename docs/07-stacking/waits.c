// SPDX-License-Identifier: GPL-2.0
/* Its exit function waits for what never comes. */
#include <linux/completion.h>
#include <linux/module.h>

static DECLARE_COMPLETION(never);

static int __init waits_init(void)
{
	return 0;
}
module_init(waits_init);

static void __exit waits_exit(void)
{
	wait_for_completion(&never);
}
module_exit(waits_exit);

MODULE_DESCRIPTION("Never gets to its end");
MODULE_LICENSE("GPL");
