// SPDX-License-Identifier: GPL-2.0-only
/* Has data on each processor, and a weak symbol that nobody defines. */
#include <linux/init.h>
#include <linux/module.h>
#include <linux/percpu.h>

static DEFINE_PER_CPU(int, percpu_count);
extern int nobody_defines_this(void) __weak;

static int __init percpu_init(void)
{
	this_cpu_inc(percpu_count);
	return nobody_defines_this ? nobody_defines_this() : 0;
}
module_init(percpu_init);

static void __exit percpu_exit(void)
{
}
module_exit(percpu_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Per-CPU data");
