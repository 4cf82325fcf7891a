{{/* One room's values: the defaults, overridden by its own. */}}
{{- define "radloop.component" -}}
{{- mustMergeOverwrite (deepCopy .root.Values.default) (deepCopy (default dict .own)) | toYaml -}}
{{- end -}}

{{- define "radloop.name" -}}
{{- printf "%s-%s" .root.Release.Name .room | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "radloop.selector" -}}
app.kubernetes.io/name: radloop
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .room }}
{{- end -}}

{{- define "radloop.labels" -}}
{{ include "radloop.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{/* Says in a sentence what is missing, before anything is rendered. */}}
{{- define "radloop.validate" -}}
{{- $v := .Values -}}
{{- $needed := list
  (list "image.repository" $v.image.repository "the repository the images were pushed to, without the room's name")
  (list "kafka.bootstrap" $v.kafka.bootstrap "host:port of your Kafka; the chart installs none")
  (list "postgres.existingSecret" $v.postgres.existingSecret "a secret that holds one dsn per room; the chart takes no password")
  (list "triton.address" $v.triton.address "host:port of Triton's gRPC")
  (list "triton.modelRepository.existingClaim" $v.triton.modelRepository.existingClaim "the volume Triton serves its models from")
  (list "blobs.existingClaim" $v.blobs.existingClaim "a ReadWriteMany volume for images and weights")
  (list "changeRecords.existingSecret" $v.changeRecords.existingSecret "a secret whose key `key` signs the change records")
  (list "ehr.url" $v.ehr.url "the FHIR R4 base of the EHR")
  (list "ris.address" $v.ris.address "host:port where the RIS takes HL7 v2 over MLLP")
-}}
{{- range $needed -}}
{{- if not (index . 1) -}}
{{- fail (printf "%s is not set: %s. docs/platform.md lists what a cluster must bring." (index . 0) (index . 2)) -}}
{{- end -}}
{{- end -}}
{{- if and (hasPrefix "SASL" $v.kafka.security) (not $v.kafka.existingSecret) -}}
{{- fail "kafka.existingSecret is not set: kafka.security asks for SASL, so name a secret with the keys user and password." -}}
{{- end -}}
{{- end -}}

{{/* What a room is told that is no secret; its hash restarts the pods. */}}
{{- define "radloop.settings" -}}
{{- $upper := upper .room -}}
RADLOOP_SITE: {{ .root.Values.site | quote }}
RADLOOP_KAFKA: {{ .root.Values.kafka.bootstrap | quote }}
RADLOOP_KAFKA_SECURITY: {{ .root.Values.kafka.security | quote }}
{{- with .root.Values.kafka.mechanism }}
RADLOOP_KAFKA_MECHANISM: {{ . | quote }}
{{- end }}
{{- if .root.Values.kafka.caSecret }}
RADLOOP_KAFKA_CA_FILE: /etc/radloop/kafka/ca.crt
{{- end }}
RADLOOP_BLOBS: /var/lib/radloop/blobs
RADLOOP_HEALTH: "0.0.0.0:8081"
RADLOOP_GRPC: "0.0.0.0:9090"
{{- with .root.Values.otlp }}
RADLOOP_OTLP: {{ . | quote }}
{{- end }}
{{- range $other, $own := .root.Values.components }}
RADLOOP_ADDRESS_{{ upper $other }}: {{ printf "%s:9090" (include "radloop.name" (dict "root" $.root "room" $other)) | quote }}
{{- end }}
{{- range $name, $door := .values.ports }}
RADLOOP_{{ $upper }}_{{ $door.setting }}: {{ printf "%s:%d" (ternary "127.0.0.1" "0.0.0.0" (default false $door.loopback)) (int $door.port) | quote }}
{{- end }}
{{- if .values.models }}
RADLOOP_MODEL_REPOSITORY: /var/lib/radloop/models
{{- end }}
{{- if eq .room "inference" }}
RADLOOP_TRITON: {{ .root.Values.triton.address | quote }}
{{- end }}
{{- if eq .room "retraining" }}
RADLOOP_RETRAINING_SIGNING_KEY_FILE: /etc/radloop/change-records/key
{{- end }}
{{- if eq .room "publishing" }}
RADLOOP_PUBLISHING_EHR: {{ .root.Values.ehr.url | quote }}
RADLOOP_PUBLISHING_RIS: {{ .root.Values.ris.address | quote }}
{{- end }}
{{- range $name, $value := .values.env }}
{{ $name }}: {{ $value | toString | quote }}
{{- end }}
{{- end -}}
