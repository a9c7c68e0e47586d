// SPDX-License-Identifier: GPL-2.0
/* Says the same thing over and over, at full speed or within a limit. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>
#include <linux/ratelimit.h>

static bool limit;
module_param(limit, bool, 0);
MODULE_PARM_DESC(limit, "Keep to ten lines a second");

/* ANCHOR: flood */
static DEFINE_RATELIMIT_STATE(ten_a_second, HZ, 10);

static void complain(void)
{
	if (!limit || __ratelimit(&ten_a_second))
		pr_info("the cable is loose\n");
}

static int __init flood_init(void)
{
	int times;

	for (times = 0; times < 12000; times++)
		complain();
	return 0;
}
module_init(flood_init);

static void __exit flood_exit(void)
{
	complain();
}
module_exit(flood_exit);
/* ANCHOR_END: flood */

MODULE_DESCRIPTION("Floods the log");
MODULE_LICENSE("GPL");
