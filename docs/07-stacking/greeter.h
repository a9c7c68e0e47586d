/* SPDX-License-Identifier: GPL-2.0 */
/* What greeter has for other modules. */
#ifndef _GREETER_H
#define _GREETER_H

/**
 * greeter_hello() - greet somebody in the kernel's log
 * @name: a NUL-terminated string; it is not kept
 *
 * Return: 0, or -EINVAL when @name is NULL.
 */
int __must_check greeter_hello(const char *name);

#endif /* _GREETER_H */
