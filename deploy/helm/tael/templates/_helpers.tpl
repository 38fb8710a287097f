{{- define "tael.name" -}}
{{- if contains "tael" .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-tael" .Release.Name | trunc 40 | trimSuffix "-" }}{{ end -}}
{{- end }}

{{/* The name of a process: the release's alone for the one called tael. */}}
{{- define "tael.process" -}}
{{- if eq .process "tael" }}{{ include "tael.name" .root }}{{ else }}{{ include "tael.name" .root }}-{{ .process }}{{ end -}}
{{- end }}

{{- define "tael.selector" -}}
app.kubernetes.io/name: tael
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .process }}
{{- end }}

{{- define "tael.labels" -}}
app.kubernetes.io/name: tael
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "tael.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{/* Settings as TAEL_* variables; the process's own win. */}}
{{- define "tael.environment" -}}
{{- $settings := merge (dict) (.spec.settings | default dict) (.root.Values.settings | default dict) -}}
{{- $_ := set $settings "listen" (printf "0.0.0.0:%d" (int .root.Values.apiPort)) -}}
{{- $_ := set $settings "admin-listen" (printf "0.0.0.0:%d" (int .root.Values.adminPort)) -}}
{{- $_ := set $settings "data" "/data" -}}
{{- if .spec.roles }}{{ $_ := set $settings "roles" (join "," .spec.roles) }}{{ end -}}
{{- if .spec.internal }}{{ $_ := set $settings "internal-listen" (printf "0.0.0.0:%d" (int .root.Values.internalPort)) }}{{ end -}}
{{- range $name, $value := $settings }}
- name: TAEL_{{ $name | upper | replace "-" "_" }}
  value: {{ tpl (toString $value) $.root | quote }}
{{- end }}
{{- end }}

{{- define "tael.pod" -}}
{{- $secrets := merge (dict) (.spec.secrets | default dict) (.root.Values.secrets | default dict) -}}
metadata:
  labels:
    {{- include "tael.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .process }}
  {{- with .root.Values.podAnnotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "tael.name" .root }}
  automountServiceAccountToken: false
  # Kubernetes' variables for Services begin with TAEL_ too, and the server refuses what it does not know.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .root.Values.terminationGracePeriodSeconds }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: {type: RuntimeDefault}
  {{- with .root.Values.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .root.Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .root.Values.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .root.Values.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .root.Values.topologySpread.enabled }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: {{ .root.Values.topologySpread.zoneKey }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels: {{- include "tael.selector" . | nindent 10 }}
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels: {{- include "tael.selector" . | nindent 10 }}
  {{- end }}
  containers:
    - name: tael
      image: {{ include "tael.image" .root | quote }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      args: [server]
      env: {{- include "tael.environment" . | nindent 8 }}
      ports:
        - {name: admin, containerPort: {{ .root.Values.adminPort }}, protocol: TCP}
        {{- if .spec.public }}
        - {name: api, containerPort: {{ .root.Values.apiPort }}, protocol: TCP}
        {{- end }}
        {{- if .spec.internal }}
        - {name: internal, containerPort: {{ .root.Values.internalPort }}, protocol: TCP}
        {{- end }}
      # Started: everything was loaded. Ready: requests can be served. Live: the sockets' loop turns; a
      # dependency that fails is no reason to restart.
      startupProbe:
        httpGet: {path: /startupz, port: admin}
        periodSeconds: 5
        failureThreshold: {{ .spec.startupFailureThreshold | default 120 }}
      readinessProbe:
        httpGet: {path: /readyz, port: admin}
        periodSeconds: 2
        timeoutSeconds: 2
        failureThreshold: 2
      livenessProbe:
        httpGet: {path: /livez, port: admin}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      resources: {{- toYaml .spec.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      volumeMounts:
        - {name: data, mountPath: /data}
        - {name: tmp, mountPath: /tmp}
        {{- if .spec.webhooksKey }}
        - {name: webhooks-key, mountPath: /data/webhooks, readOnly: true}
        {{- end }}
        {{- range $name, $secret := $secrets }}
        - {name: secret-{{ $name }}, mountPath: /secrets/{{ $name }}, readOnly: true}
        {{- end }}
  volumes:
    - name: tmp
      emptyDir: {sizeLimit: 64Mi}
    {{- if not (and .spec.persistence .spec.persistence.enabled) }}
    - name: data
      emptyDir: {sizeLimit: 1Gi}
    {{- end }}
    {{- with .spec.webhooksKey }}
    - name: webhooks-key
      secret:
        secretName: {{ . }}
        defaultMode: 0440
        items: [{key: master.key, path: master.key}]
    {{- end }}
    {{- range $name, $secret := $secrets }}
    - name: secret-{{ $name }}
      secret: {secretName: {{ $secret }}, defaultMode: 0440}
    {{- end }}
{{- end }}
