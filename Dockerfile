# The image holds one static binary and the certificates of public authorities, nothing else.
#
#   make image                      builds the binary, then the image with buildah
#   docker build -t lanner:0.1.0 .  does the same where the binary is in deploy/image/ already
FROM scratch
COPY deploy/image/lanner /lanner
COPY deploy/image/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --chown=65532:65532 deploy/image/state /var/lib/lanner
USER 65532:65532
ENV LANNER_STATE=/var/lib/lanner SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
EXPOSE 9464
ENTRYPOINT ["/lanner"]
CMD ["run"]
