// SPDX-License-Identifier: GPL-2.0
/* Says how long it has been there. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>
#include <linux/timekeeping.h>

static time64_t loaded;

static int __init count_init(void)
{
	loaded = ktime_get_boottime_seconds();
	pr_info("loaded\n");
	return 0;
}
module_init(count_init);

static void __exit count_exit(void)
{
	pr_info("there for %lld s\n", ktime_get_boottime_seconds() - loaded);
}
module_exit(count_exit);

MODULE_DESCRIPTION("Says how long it has been there");
MODULE_LICENSE("GPL");
