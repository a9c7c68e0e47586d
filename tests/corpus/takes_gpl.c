// SPDX-License-Identifier: GPL-2.0-only
/* Uses what any module may use, and a GPL-only function of the kernel that is looked up before. */
#include <linux/init.h>
#include <linux/module.h>
#include <linux/notifier.h>

#include "gives.h"

static void *kept = atomic_notifier_call_chain;

static int __init takes_gpl_init(void)
{
	return gives_any(0) == 2 && kept ? 0 : -EINVAL;
}
module_init(takes_gpl_init);

static void __exit takes_gpl_exit(void)
{
}
module_exit(takes_gpl_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A GPL-only import");
