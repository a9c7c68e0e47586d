// SPDX-License-Identifier: GPL-2.0
/* Calls mine twice. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>

#include "mine.h"

static int __init uses_mine_init(void)
{
	mine_calls();
	pr_info("call %d\n", mine_calls());
	return 0;
}
module_init(uses_mine_init);

static void __exit uses_mine_exit(void)
{
}
module_exit(uses_mine_exit);

MODULE_IMPORT_NS("MINE");

MODULE_DESCRIPTION("Calls mine twice");
MODULE_LICENSE("GPL");
