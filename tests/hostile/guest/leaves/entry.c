// SPDX-License-Identifier: GPL-2.0
/* Forgets a file in /proc. */
#include <linux/errno.h>
#include <linux/module.h>
#include <linux/proc_fs.h>

static const struct proc_ops entry_ops = {};

static int __init entry_init(void)
{
	return proc_create("entry", 0444, NULL, &entry_ops) ? 0 : -ENOMEM;
}
module_init(entry_init);

static void __exit entry_exit(void)
{
	/* The line that is missing: remove_proc_entry("entry", NULL); */
}
module_exit(entry_exit);

MODULE_DESCRIPTION("Leaves a file in /proc behind");
MODULE_LICENSE("GPL");
