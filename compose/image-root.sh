#!/bin/sh
# Makes the files of a program's image: the program, the libraries of this Debian that it is linked to, the public authorities.
#
#   image-root.sh PROGRAM DIRECTORY
#
# compose/Dockerfile calls it, and scripts/check-image.sh, which runs a program in what comes of it.
set -eu

program=$1 root=$2
mkdir -p "$root/usr/local/bin" "$root/etc/ssl/certs" "$root/usr/lib/ssl" "$root/usr/share/doc/headwater" \
    "$root/var/lib/dpkg/status.d" "$root/home/nonroot" "$root/tmp"
# Names of functions are a tenth of the image, and what ends a program says its file and line without them.
install -m 755 --strip "$program" "$root/usr/local/bin/"
chmod 1777 "$root/tmp"

# package FILE: the package that a file is of. Scanners for known weaknesses look there for what an image is made of.
package() {
    of=$(dpkg-query --search "$1" 2>/dev/null || dpkg-query --search "/usr$1")
    of=${of%%:*}
    dpkg-query --status "$of" >"$root/var/lib/dpkg/status.d/$of"
    mkdir -p "$root/usr/share/doc/$of"
    cp "/usr/share/doc/$of/copyright" "$root/usr/share/doc/$of/"
}

# Each line of ldd has one path, but that of the kernel's own library, which has none.
ldd "$program" | sed -nE 's/^[^/]*(\/[^ ]+) \(0x.*$/\1/p' | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
    package "$library"
done

# Where OpenSSL looks by itself, and where everybody else does.
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
ln -s /etc/ssl/certs/ca-certificates.crt "$root/usr/lib/ssl/cert.pem"
package /usr/sbin/update-ca-certificates

cp -L /etc/os-release "$root/etc/os-release"
cp LICENSE "$root/usr/share/doc/headwater/"
echo "nonroot:x:65532:65532::/home/nonroot:/sbin/nologin" >"$root/etc/passwd"
echo "nonroot:x:65532:" >"$root/etc/group"
# /etc/hosts before DNS.
echo "hosts: files dns" >"$root/etc/nsswitch.conf"
