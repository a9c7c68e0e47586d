// SPDX-License-Identifier: GPL-2.0
/* Says one line at each level of the kernel's log, and one without a level. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>

/* ANCHOR: init */
static int __init levels_init(void)
{
	pr_emerg("the system is unusable\n");
	pr_alert("act now\n");
	pr_crit("critical\n");
	pr_err("an error\n");
	pr_warn("a warning\n");
	pr_notice("normal, but of note\n");
	pr_info("for your information\n");
	pr_debug("for whoever looks for a bug\n");
	printk("as on the slide, without a level\n");
	return 0;
}
/* ANCHOR_END: init */
module_init(levels_init);

static void __exit levels_exit(void)
{
}
module_exit(levels_exit);

MODULE_DESCRIPTION("A message of each level");
MODULE_LICENSE("GPL");
