#!/bin/sh
# appliance @VERSION@ for @MACHINE@: a private cloud in one file. Run it: `./appliance --help`.
#
# This text is the front of the file. It finds the unpacked Python of exactly this file and starts it; where there is
# none yet, it unpacks it first. It needs sh, tail, head, gzip, tar, mkdir and rm, of which busybox's will do.

python=@PYTHON@
app=@APP@
shared=/opt/appliance/runtime

case $0 in
*/*) file=$0 ;;
*) file=$(command -v -- "$0") || file=$0 ;;
esac
case $file in
/*) ;;
*) file=$(pwd)/$file ;;
esac
unset LD_LIBRARY_PATH LD_PRELOAD LD_AUDIT LD_BIND_NOW OPENSSL_CONF OPENSSL_MODULES

start() {
	base=$1
	shift
	APPLIANCE_FILE=$file
	APPLIANCE_RUNTIME=$base/$python
	export APPLIANCE_FILE APPLIANCE_RUNTIME
	if [ "$base" = "$shared" ]; then
		exec "$base/$python/bin/python3.13" -I -S -B -X utf8 "$base/$app/start.py" "$@"
	fi
	# The interpreter's path to its loader is only right below $shared; elsewhere the loader is called by name.
	exec "$base/$python/lib/@LOADER@" --library-path "$base/$python/lib" \
		"$base/$python/bin/python3.13" -I -S -B -X utf8 "$base/$app/start.py" "$@"
}

complete() {
	[ -f "$1/$app/start.py" ] && [ -x "$1/$python/bin/python3.13" ]
}

fail() {
	printf 'error: %s\n  where: %s\n  why: %s\n  next: %s\n' "$1" "$2" "$3" "$4" >&2
}

# A folder in /tmp may have been put there by somebody else: only one that is ours and no link is used.
ours() {
	[ -d "$1" ] && [ ! -L "$1" ] && [ -O "$1" ] && [ -w "$1" ]
}

unpack() (
	umask 022
	base=$1
	# Two process namespaces that share $base may both have a process of this number.
	unique=
	read -r unique 2>&- </proc/sys/kernel/random/uuid
	temp=$base/.unpack-$$-$unique
	rm -rf "$temp"
	trap 'rm -rf "$temp"' EXIT
	trap 'exit 130' HUP INT TERM
	if ! mkdir "$temp"; then
		fail "The appliance cannot unpack itself." "$base" "a folder cannot be made there" "make room, or make it writable"
		exit 1
	fi
	if [ -x "$base/$python/bin/python3.13" ]; then
		from=$base/$python
	else
		from=$temp/python
		mkdir "$from"
		if ! said=$(tail -c +@PYTHON_START@ "$file" | head -c @PYTHON_SIZE@ | gzip -dc | tar xf - -C "$from" 2>&1); then
			fail "The appliance could not unpack its Python." "$base" \
				"the disk is full, or the file is damaged (part 'python'): ${said%%
*}" \
				"make 250 MB of room in $base, or copy the file again; then run it again"
			exit 1
		fi
	fi
	"$from/lib/@LOADER@" --library-path "$from/lib" "$from/bin/python3.13" \
		-I -S -B -X utf8 "$from/boot/unpack.py" "$file" "$base" "$temp" "$python" "$app"
	status=$?
	case $status in
	0 | 1) ;;
	*)
		fail "The appliance's Python does not run (status $status)." "$base" \
			"the file is damaged (part 'python'), or the disk is mounted noexec" \
			"copy the file again, or allow programs there (mount -o remount,exec)"
		;;
	esac
	exit $status
)

complete "$shared" && start "$shared" "$@"

machine=$(uname -m)
if [ "${machine:-@MACHINE@}" != @MACHINE@ ]; then
	fail "This file is for @MACHINE@ machines; this one is $machine." "$file" \
		"programs of one architecture do not run on another" "take the appliance file that was built for $machine"
	exit 1
fi

user=$(id -u)
if [ "$user" = 0 ]; then
	(umask 022 && mkdir -p "$shared") || {
		fail "The appliance needs $shared and cannot make it." "$shared" "see the line above" "make /opt writable"
		exit 1
	}
	unpack "$shared" || exit 1
	complete "$shared" && start "$shared" "$@"
	fail "The appliance did not start after unpacking." "$shared" "$shared/$python is not there" \
		"check that $shared is on a disk that keeps files and allows programs (not noexec)"
	exit 1
fi

for folder in "${XDG_CACHE_HOME:-}" "${HOME:+$HOME/.cache}" "/var/tmp/appliance-$user" "/tmp/appliance-$user"; do
	case $folder in
	/*) ;;
	*) continue ;;
	esac
	(umask 077 && mkdir -p "$folder") 2>&-
	ours "$folder" || continue
	base=$folder/appliance-runtime
	mkdir -p "$base" 2>&-
	ours "$base" || continue
	complete "$base" && start "$base" "$@"
	said=$(unpack "$base" 2>&1) && complete "$base" && start "$base" "$@"
	tried="${tried:+$tried; }$base: $said"
done
fail "The appliance found no place to unpack itself." "\$HOME/.cache, /var/tmp and /tmp" \
	"${tried:-none of them can be written}" "set XDG_CACHE_HOME to a folder of yours with 250 MB of room which allows programs"
exit 1
