// SPDX-License-Identifier: GPL-2.0
/* Has a parameter of every kind, and prints them. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>

/* ANCHOR: params */
static bool loud;
module_param(loud, bool, 0644);
MODULE_PARM_DESC(loud, "Whether to be loud");

static bool quiet = true;
module_param(quiet, invbool, 0444);
MODULE_PARM_DESC(quiet, "The other way round: N is true");

static short low = -1;
module_param(low, short, 0644);
MODULE_PARM_DESC(low, "16 bits with a sign");

static int step = 1;
module_param(step, int, 0644);
MODULE_PARM_DESC(step, "32 bits with a sign");

static uint count = 3;
module_param(count, uint, 0600);
MODULE_PARM_DESC(count, "32 bits without, for root alone");

static ulong size = 4096;
module_param(size, ulong, 0);
MODULE_PARM_DESC(size, "64 bits without, and no file");

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
	pr_info("loud %d, quiet %d, low %d, step %d\n", loud, quiet, low, step);
	pr_info("count %u, size %lu\n", count, size);
	pr_info("name %s, unit %s\n", name, unit);
	pr_info("%u lines, the first is %d\n", number, lines[0]);
	return 0;
}
/* ANCHOR_END: params */
module_init(params_init);

static void __exit params_exit(void)
{
}
module_exit(params_exit);

MODULE_DESCRIPTION("A parameter of every kind");
MODULE_LICENSE("GPL");
