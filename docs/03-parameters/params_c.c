// SPDX-License-Identifier: GPL-2.0
/* The same kinds in C, with the slide's macros. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>

/* ANCHOR: params */
static bool loud;
module_param(loud, bool, 0644);
MODULE_PARM_DESC(loud, "Whether to be loud");

static char *name = "nobody";
module_param(name, charp, 0644);
MODULE_PARM_DESC(name, "A string of up to 1024 bytes");

static char unit[8] = "mm";
module_param_string(unit, unit, sizeof(unit), 0644);
MODULE_PARM_DESC(unit, "A string of up to 7 bytes");

static int lines[4];
static unsigned int number;
module_param_array(lines, int, &number, 0644);
MODULE_PARM_DESC(lines, "Up to four numbers");

static int __init params_init(void)
{
	pr_info("loud %d, name %s, unit %s\n", loud, name, unit);
	pr_info("%u lines, the first is %d\n", number, lines[0]);
	return 0;
}
/* ANCHOR_END: params */
module_init(params_init);

static void __exit params_exit(void)
{
}
module_exit(params_exit);

MODULE_DESCRIPTION("Parameters in C");
MODULE_LICENSE("GPL");
